/** Events of the contract of one app: releases, devices, rules, epochs. */
import { appAbi } from '../../chain/abi.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Change, change, contractEvents } from '../change.ts'
import type { State } from '../database/tables.ts'
import { newApp } from './new-rows.ts'
import { registryHandlers } from './owned.ts'

export const appEvents = contractEvents(appAbi, {
  ...registryHandlers([4, 5]),
  AllowAnyDeviceSet: (event) => [rule(event, () => ({ allowAnyDevice: event.args.allowAny }))],
  RequireTcbUpToDateSet: (event) => [
    rule(event, () => ({ requireTcbUpToDate: event.args.requireUpToDate })),
  ],
  UpgradesDisabled: (event) => [rule(event, () => ({ upgradesDisabled: true }))],
  VariantsSet: (event) => [rule(event, () => ({ variants: event.args.variants }))],
  NoticePeriodSet: (event) => [
    rule(event, (app) => ({
      noticePeriod: event.args.noticePeriod,
      noticeSince: event.args.noticePeriod === app.noticePeriod ? app.noticeSince : event.time,
    })),
  ],
  ReleasesSuperseded: (event) => [rule(event, (app) => supersede(app, event.args, event.time))],
  Announced: ({ contract, args, time }) => [
    // the announcement counts from its block, also if the notice period grows later
    change('announcements', `${contract}:${args.callDigest}`, () => ({
      app: contract,
      callDigest: args.callDigest,
      announcedAt: time,
    })),
  ],
  AnnouncementUsed: ({ contract, args }) => [
    change('announcements', `${contract}:${args.callDigest}`, () => ({
      app: contract,
      callDigest: args.callDigest,
      announcedAt: 0,
    })),
  ],
})

/** The app emits its first events before `KmsAuth` registers it, so the row may not exist yet. */
function rule(
  event: { readonly contract: Hex },
  set: (app: State<'apps'>) => Partial<State<'apps'>>,
): Change {
  return change('apps', event.contract, (row) => {
    const app = row ?? newApp
    return { ...app, ...set(app) }
  })
}

/** As `App.supersede`: a supersession that is not pending any more becomes the base of the next. */
function supersede(
  app: State<'apps'>,
  { oldest, from, epoch }: { oldest: number; from: number; epoch: number },
  time: number,
): Partial<State<'apps'>> {
  const isPending = time < app.endFrom
  const base = isPending ? {} : { oldest: app.nextOldest, endOpenedEpoch: epoch !== app.epoch }
  return { ...base, nextOldest: oldest, endFrom: from, epoch }
}
