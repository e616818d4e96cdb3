ALTER TABLE "hosts" ALTER COLUMN "attested_at" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "expires_at" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "status" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "fmspc" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "tcb_evaluation_number" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "proven_at_block" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "approval_version" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "advisories" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "hosts" ALTER COLUMN "block" DROP NOT NULL;--> statement-breakpoint
CREATE INDEX "hosts_of_intent" ON "hosts" USING btree ("intent_id") WHERE "hosts"."intent_id" is not null;--> statement-breakpoint
-- Rows of machines that were only kept: zeros stood for what was not known.
UPDATE "hosts" SET "attested_at" = NULL, "expires_at" = NULL, "status" = NULL, "fmspc" = NULL, "tcb_evaluation_number" = NULL, "proven_at_block" = NULL, "approval_version" = NULL, "advisories" = NULL, "block" = NULL WHERE "block" = 0 AND "attested_at" = 0;
