CREATE SCHEMA "indexer";
--> statement-breakpoint
CREATE TABLE "indexer"."announcements" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"app" text NOT NULL,
	"call_digest" text NOT NULL,
	"announced_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."approvals" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"registry" text NOT NULL,
	"kind" integer NOT NULL,
	"subject" text NOT NULL,
	"word" text NOT NULL,
	"active_from" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"suspended_until" bigint NOT NULL,
	"ended_at" bigint NOT NULL,
	"version" bigint NOT NULL,
	"position" bigint NOT NULL,
	"revoked" boolean NOT NULL,
	"evidence" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."apps" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"deployer" text,
	"allow_any_device" boolean NOT NULL,
	"require_tcb_up_to_date" boolean NOT NULL,
	"upgrades_disabled" boolean NOT NULL,
	"variants" integer NOT NULL,
	"notice_period" bigint NOT NULL,
	"notice_since" bigint NOT NULL,
	"oldest" bigint NOT NULL,
	"next_oldest" bigint NOT NULL,
	"end_from" bigint NOT NULL,
	"end_opened_epoch" boolean NOT NULL,
	"epoch" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."blocks" (
	"number" bigint PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"time" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."bonds" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"device_id" text NOT NULL,
	"holder" text NOT NULL,
	"bonded" text NOT NULL,
	"unbonding" text NOT NULL,
	"unbonds_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."contracts" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"role" text NOT NULL,
	"owner" text,
	"pending_owner" text,
	"guardian" text,
	"suspension" bigint,
	"implementation" text,
	"upgrades_renounced" boolean DEFAULT false NOT NULL,
	"settings" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."events" (
	"event_block" bigint NOT NULL,
	"log_index" integer NOT NULL,
	"block" bigint NOT NULL,
	"block_hash" text NOT NULL,
	"time" bigint NOT NULL,
	"transaction" text NOT NULL,
	"contract" text NOT NULL,
	"name" text NOT NULL,
	"kind" integer,
	"subject" text,
	"args" text NOT NULL,
	CONSTRAINT "events_event_block_log_index_pk" PRIMARY KEY("event_block","log_index")
);
--> statement-breakpoint
CREATE TABLE "indexer"."heartbeats" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"root" text NOT NULL,
	"posted_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."host_rules" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"status" integer,
	"advisory" text,
	"until" bigint,
	"is_denied" boolean
);
--> statement-breakpoint
CREATE TABLE "indexer"."hosts" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"operator" text,
	"named_operator" text,
	"attested_at" bigint,
	"expires_at" bigint,
	"status" integer,
	"fmspc" text,
	"tcb_evaluation_number" bigint,
	"qe_evaluation_number" bigint,
	"approval_version" bigint,
	"tcb_date" bigint,
	"proven_at_block" bigint,
	"advisories" text,
	"advisories_digest" text,
	"platform_instance_id" text,
	"quote_digest" text,
	"quote_id" text,
	"ended_verdict" integer,
	"first_id" text,
	"continued_block" bigint,
	"continued_index" integer
);
--> statement-breakpoint
CREATE TABLE "indexer"."images" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"name" text NOT NULL,
	"is_closed" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."measurement_sets" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"os_image_hash" text NOT NULL,
	"variant" integer NOT NULL,
	"mr_system" text NOT NULL,
	"registers" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."operations" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"calls" text NOT NULL,
	"predecessor" text NOT NULL,
	"salt" text NOT NULL,
	"ready_at" bigint NOT NULL,
	"executed" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."positions" (
	"id" text PRIMARY KEY NOT NULL,
	"next" bigint NOT NULL,
	"time" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."proposals" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"proposer" text NOT NULL,
	"targets" text NOT NULL,
	"values" text NOT NULL,
	"calldatas" text NOT NULL,
	"description" text NOT NULL,
	"vote_start" bigint NOT NULL,
	"vote_end" bigint NOT NULL,
	"against_votes" text NOT NULL,
	"for_votes" text NOT NULL,
	"abstain_votes" text NOT NULL,
	"eta" bigint NOT NULL,
	"is_executed" boolean NOT NULL,
	"is_canceled" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."roles" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"role" text NOT NULL,
	"account" text NOT NULL,
	"is_granted" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."root_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"mr_aggregated" text NOT NULL,
	"device_id" text NOT NULL,
	"proven_at" bigint NOT NULL,
	"status" integer NOT NULL,
	"epoch" bigint NOT NULL,
	"ca_public_key" text NOT NULL,
	"k256_public_key" text NOT NULL,
	"quote_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."undo" (
	"block" bigint NOT NULL,
	"table" text NOT NULL,
	"row_id" text NOT NULL,
	"before" text,
	CONSTRAINT "undo_block_table_row_id_pk" PRIMARY KEY("block","table","row_id")
);
--> statement-breakpoint
CREATE TABLE "indexer"."voters" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"balance" text NOT NULL,
	"delegate" text NOT NULL,
	"votes" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "indexer"."votes" (
	"id" text PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"proposal" text NOT NULL,
	"voter" text NOT NULL,
	"support" integer NOT NULL,
	"weight" text NOT NULL,
	"reason" text NOT NULL
);
--> statement-breakpoint
CREATE INDEX "approvals_by_kind" ON "indexer"."approvals" USING btree ("registry","kind","position");--> statement-breakpoint
CREATE INDEX "events_of_subject" ON "indexer"."events" USING btree ("contract","subject","event_block","log_index");--> statement-breakpoint
CREATE INDEX "events_of_contract" ON "indexer"."events" USING btree ("contract","event_block","log_index");--> statement-breakpoint
CREATE INDEX "events_by_block" ON "indexer"."events" USING btree ("block");--> statement-breakpoint
CREATE INDEX "hosts_by_expiry" ON "indexer"."hosts" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "hosts_of_first" ON "indexer"."hosts" USING btree ("first_id");--> statement-breakpoint
CREATE INDEX "votes_of_proposal" ON "indexer"."votes" USING btree ("proposal");