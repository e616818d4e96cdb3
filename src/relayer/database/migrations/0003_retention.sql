DROP INDEX "intents_queue";--> statement-breakpoint
ALTER TABLE "intents" ADD COLUMN "settled_at" bigint;--> statement-breakpoint
CREATE INDEX "attempts_of_intent" ON "attempts" USING btree ("intent_id");--> statement-breakpoint
CREATE INDEX "intents_backlog" ON "intents" USING btree ("chain_id","state","created_at") WHERE "intents"."state" in ('queued', 'sending');--> statement-breakpoint
CREATE INDEX "intents_settled" ON "intents" USING btree ("chain_id","settled_at") WHERE "intents"."settled_at" is not null;--> statement-breakpoint
CREATE INDEX "slots_of_intent" ON "slots" USING btree ("intent_id","nonce");--> statement-breakpoint
CREATE INDEX "slots_by_time" ON "slots" USING btree ("chain_id","account","reserved_at");--> statement-breakpoint
CREATE INDEX "intents_queue" ON "intents" USING btree ("chain_id","not_before","position") WHERE "intents"."state" = 'queued';--> statement-breakpoint
UPDATE "intents" SET "settled_at" = coalesce((SELECT max("events"."at") FROM "events" WHERE "events"."intent_id" = "intents"."id"), "created_at") WHERE "state" IN ('final', 'abandoned');
