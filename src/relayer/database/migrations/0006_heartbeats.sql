CREATE TABLE "heartbeat_nonces" (
	"chain_id" bigint NOT NULL,
	"account" text NOT NULL,
	"nonce" text NOT NULL,
	"operator" text NOT NULL,
	"received_at" bigint NOT NULL,
	"heartbeat" integer,
	"position" bigserial NOT NULL,
	CONSTRAINT "heartbeat_nonces_chain_id_account_nonce_pk" PRIMARY KEY("chain_id","account","nonce")
);
--> statement-breakpoint
CREATE TABLE "heartbeats" (
	"chain_id" bigint NOT NULL,
	"account" text NOT NULL,
	"number" integer NOT NULL,
	"previous" text NOT NULL,
	"root" text NOT NULL,
	"value" text NOT NULL,
	"intent_id" text NOT NULL,
	"made_at" bigint NOT NULL,
	CONSTRAINT "heartbeats_chain_id_account_number_pk" PRIMARY KEY("chain_id","account","number")
);
--> statement-breakpoint
CREATE INDEX "heartbeat_nonces_of" ON "heartbeat_nonces" USING btree ("chain_id","account","heartbeat","position");--> statement-breakpoint
CREATE UNIQUE INDEX "heartbeats_value" ON "heartbeats" USING btree ("chain_id","account","value");