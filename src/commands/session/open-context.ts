/** The context of a command that needs neither a chain nor a deployment. */
import { type Command, nameOfCommand } from '../command.ts'
import { createOutput, type Output } from '../output/output.ts'
import { confirm } from './confirm.ts'
import type { CommonValues, Context } from './context.ts'
import type { Profile } from './settings.ts'
import { stopSignal } from './stop-signal.ts'

/** Creates the context of a command without a chain: output, profile, confirmation and stop signal. */
export function openContext(command: Command, common: CommonValues, profile: Profile): Context {
  const { json, yes } = common
  const output: Output = createOutput({
    json,
    ...(command.isService === true ? {} : { name: nameOfCommand(command) }),
  })
  return {
    output,
    profile,
    async confirm() {
      output.pause()
      await confirm({ json, yes })
    },
    stopSignal,
  }
}
