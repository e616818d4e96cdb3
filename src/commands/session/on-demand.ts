/** The context of a command that needs a deployment only for some of its arguments. */
import type { Context } from './context.ts'
import type { OnDemandContext, Session } from './session.ts'

/** @param open connects to the chain and reads the deployment record */
export function onDemand(context: Context, open: () => Promise<Context>): OnDemandContext {
  let opened: Promise<Context> | undefined
  return {
    ...context,
    openSession() {
      opened ??= open()
      return opened as Promise<Session>
    },
    async close() {
      const context = await opened?.catch(() => undefined)
      await context?.close?.()
    },
  }
}
