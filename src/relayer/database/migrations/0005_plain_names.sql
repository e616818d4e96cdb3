ALTER TABLE "lanes" RENAME TO "accounts";--> statement-breakpoint
-- The primary key, and on PostgreSQL 18 each NOT NULL, has the table's name in its own.
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = '"accounts"'::regclass AND starts_with(conname, 'lanes_') LOOP
    EXECUTE format('ALTER TABLE "accounts" RENAME CONSTRAINT %I TO %I', name, 'accounts_' || substr(name, 7));
  END LOOP;
END $$;--> statement-breakpoint
ALTER TABLE "intents" RENAME COLUMN "setback" TO "last_error";--> statement-breakpoint
ALTER TABLE "hosts" RENAME COLUMN "setback" TO "last_error";--> statement-breakpoint
-- Upkeep tasks were called chores, in their kind and in their payload.
UPDATE "intents" SET "kind" = 'upkeep', "payload" = ("payload" - 'chore') || jsonb_build_object('task', "payload" -> 'chore') WHERE "kind" = 'chore';--> statement-breakpoint
-- Events show the last error under its new name too.
UPDATE "events" SET "facts" = ("facts" - 'setback') || jsonb_build_object('lastError', "facts" -> 'setback') WHERE "facts" ? 'setback';
