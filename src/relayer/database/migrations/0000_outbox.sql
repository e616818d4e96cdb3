CREATE TABLE "attempts" (
	"hash" text PRIMARY KEY NOT NULL,
	"chain_id" bigint NOT NULL,
	"account" text NOT NULL,
	"nonce" bigint NOT NULL,
	"ordinal" integer NOT NULL,
	"kind" text NOT NULL,
	"intent_id" text,
	"raw" text NOT NULL,
	"max_fee" numeric(78, 0) NOT NULL,
	"tip" numeric(78, 0) NOT NULL,
	"signed_at" bigint NOT NULL,
	"sent_at" bigint,
	"answer" text
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"intent_id" text NOT NULL,
	"at" bigint NOT NULL,
	"state" text NOT NULL,
	"facts" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "intents" (
	"id" text PRIMARY KEY NOT NULL,
	"chain_id" bigint NOT NULL,
	"kind" text NOT NULL,
	"key" text NOT NULL,
	"payload" jsonb NOT NULL,
	"state" text NOT NULL,
	"created_at" bigint NOT NULL,
	"not_before" bigint NOT NULL,
	"expires_at" bigint,
	"refusals" integer NOT NULL,
	"setback" jsonb,
	"version" integer NOT NULL,
	"position" bigserial NOT NULL
);
--> statement-breakpoint
CREATE TABLE "lanes" (
	"chain_id" bigint NOT NULL,
	"account" text NOT NULL,
	"genesis" text NOT NULL,
	"holder" text,
	"token" bigint DEFAULT 0 NOT NULL,
	"until" timestamp with time zone,
	CONSTRAINT "lanes_chain_id_account_pk" PRIMARY KEY("chain_id","account")
);
--> statement-breakpoint
CREATE TABLE "quotes" (
	"id" text PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"digest" text NOT NULL,
	"operator" text NOT NULL,
	"event_log" text NOT NULL,
	"verdict" jsonb NOT NULL,
	"received_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "slots" (
	"chain_id" bigint NOT NULL,
	"account" text NOT NULL,
	"nonce" bigint NOT NULL,
	"intent_id" text,
	"state" text NOT NULL,
	"to" text,
	"data" text,
	"value" numeric(78, 0),
	"gas" numeric(78, 0),
	"reserved_at" bigint NOT NULL,
	"mined_hash" text,
	"mined_block" bigint,
	"mined_block_hash" text,
	"mined_succeeded" boolean,
	"mined_cost" numeric(78, 0),
	"closed_at" bigint,
	"version" integer NOT NULL,
	CONSTRAINT "slots_chain_id_account_nonce_pk" PRIMARY KEY("chain_id","account","nonce")
);
--> statement-breakpoint
ALTER TABLE "attempts" ADD CONSTRAINT "attempts_intent_id_intents_id_fk" FOREIGN KEY ("intent_id") REFERENCES "public"."intents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "attempts" ADD CONSTRAINT "attempts_slot" FOREIGN KEY ("chain_id","account","nonce") REFERENCES "public"."slots"("chain_id","account","nonce") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_intent_id_intents_id_fk" FOREIGN KEY ("intent_id") REFERENCES "public"."intents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "quotes" ADD CONSTRAINT "quotes_id_intents_id_fk" FOREIGN KEY ("id") REFERENCES "public"."intents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "slots" ADD CONSTRAINT "slots_intent_id_intents_id_fk" FOREIGN KEY ("intent_id") REFERENCES "public"."intents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "attempts_of_slot" ON "attempts" USING btree ("chain_id","account","nonce");--> statement-breakpoint
CREATE INDEX "events_of_intent" ON "events" USING btree ("intent_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "intents_identity" ON "intents" USING btree ("chain_id","kind","key");--> statement-breakpoint
CREATE INDEX "intents_queue" ON "intents" USING btree ("chain_id","position") WHERE "intents"."state" = 'queued';--> statement-breakpoint
CREATE UNIQUE INDEX "slots_one_per_intent" ON "slots" USING btree ("intent_id") WHERE "slots"."state" not in ('final', 'abandoned');--> statement-breakpoint
CREATE INDEX "slots_live" ON "slots" USING btree ("chain_id","account") WHERE "slots"."state" not in ('final', 'abandoned');