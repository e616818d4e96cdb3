import { vectorsFolder } from '../scripts/vectors.ts'

/** Said once per run, before the first test. */
export default function setup(): void {
  if (vectorsFolder === undefined) {
    console.warn(
      '\n*** RECORDED VECTORS ABSENT: suites over real quotes are SKIPPED. ' +
        'Run `npm run vectors:fetch -- FOLDER`, then set ASSENT_VECTORS to it. ***\n',
    )
  }
}
