/** Errors of paid requests and their workers. */
import type { ErrorEntry } from './index.ts'

export const requestErrors = {
  REQUEST_KEY_UNTRUSTED: {
    why: 'The key to which an input should be encrypted is of another app or key epoch, does not lead to the root key on-chain, or has a small order.',
    fix: 'Do not encrypt to it. Get the request key from another worker of the app, and check that the app has not opened a new key epoch.',
  },
  REQUEST_INPUT_UNREADABLE: {
    why: 'An input or result of a request was encrypted to another key, is for another request or requester, or was changed.',
    fix: 'Encrypt the input again, to the request key of the current epoch, for the account that sends the request.',
  },
  WORKER_INPUT_REFUSED: {
    why: 'A worker can never answer this request: it is for another app, or its input has another form, place, digest or key.',
    fix: 'Decline the request. Requesters: send the input in a form of docs/use-from-contracts.md, encrypted to the newest request key.',
  },
  WORKER_HANDLER_FAILED: {
    why: 'The handler of the app did not answer in time, failed, or returned more than a result may have.',
    fix: 'Look at the log of the app. Try again until the request is due, then decline it.',
  },
  WORKER_KEY_ON_DISK: {
    why: 'The key of an instance must be in memory. On a disk, a later release of the app could read it.',
    fix: 'Set `keyFile` to a file on a tmpfs, for example below /run.',
  },
} as const satisfies Record<string, ErrorEntry>
