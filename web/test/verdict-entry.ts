/** What the test of verdicts runs in the browser. */
import '../src/platform/zod.ts'

import { isAssentError } from '../../src/errors/index.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { outcomeOf, type VerdictCase } from './outcome.ts'

Object.assign(globalThis, {
  judge({ quote, collateral, root, at }: VerdictCase): string {
    return outcomeOf(
      () =>
        verifyQuote(fromHex(quote, 'quote'), parseCollateral(collateral), {
          at,
          root: root === 'intel' ? root : fromHex(root, 'root'),
        }),
      isAssentError,
    )
  },
})
