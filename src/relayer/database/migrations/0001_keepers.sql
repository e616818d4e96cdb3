CREATE TABLE "collateral" (
	"chain_id" bigint NOT NULL,
	"store" text NOT NULL,
	"name" text NOT NULL,
	"held_issued_at" bigint NOT NULL,
	"held_until" bigint NOT NULL,
	"offered_issued_at" bigint NOT NULL,
	"offered_until" bigint NOT NULL,
	"put_content" text,
	"put_issued_at" bigint,
	"checked_at" bigint NOT NULL,
	CONSTRAINT "collateral_chain_id_store_name_pk" PRIMARY KEY("chain_id","store","name")
);
--> statement-breakpoint
CREATE TABLE "cursors" (
	"chain_id" bigint NOT NULL,
	"name" text NOT NULL,
	"block" bigint NOT NULL,
	CONSTRAINT "cursors_chain_id_name_pk" PRIMARY KEY("chain_id","name")
);
--> statement-breakpoint
CREATE TABLE "hosts" (
	"chain_id" bigint NOT NULL,
	"registry" text NOT NULL,
	"device_id" text NOT NULL,
	"operator" text NOT NULL,
	"attested_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"status" integer NOT NULL,
	"fmspc" text NOT NULL,
	"tcb_evaluation_number" integer NOT NULL,
	"proven_at_block" bigint NOT NULL,
	"approval_version" integer NOT NULL,
	"record" text,
	"advisories" jsonb NOT NULL,
	"quote" text,
	"block" bigint NOT NULL,
	"early_status" integer,
	"early_advisories" jsonb,
	"early_number" integer,
	"early_passes" boolean,
	"early_at" bigint,
	"is_dead" boolean DEFAULT false NOT NULL,
	"not_before" bigint DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"setback" jsonb,
	"intent_id" text,
	"claimed_until" timestamp with time zone,
	CONSTRAINT "hosts_chain_id_registry_device_id_pk" PRIMARY KEY("chain_id","registry","device_id")
);
--> statement-breakpoint
CREATE TABLE "proposals" (
	"chain_id" bigint NOT NULL,
	"governor" text NOT NULL,
	"proposal_id" text NOT NULL,
	"description" text NOT NULL,
	"vote_end" bigint NOT NULL,
	"block" bigint NOT NULL,
	"is_over" boolean DEFAULT false NOT NULL,
	CONSTRAINT "proposals_chain_id_governor_proposal_id_pk" PRIMARY KEY("chain_id","governor","proposal_id")
);
--> statement-breakpoint
ALTER TABLE "hosts" ADD CONSTRAINT "hosts_intent_id_intents_id_fk" FOREIGN KEY ("intent_id") REFERENCES "public"."intents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "hosts_expiry" ON "hosts" USING btree ("chain_id","registry","expires_at");