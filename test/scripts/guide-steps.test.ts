import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { countGuides, countSteps, stepsTable, withTable } from '../../scripts/guides/count-steps.ts'

const block = (text: string) => `# Title\n\n\`\`\`bash\n${text}\n\`\`\`\n`

describe('the count of commands and copied values', () => {
  test('of README.md is that of the guides', async () => {
    const page = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')

    expect(withTable(page, stepsTable(await countGuides()))).toBe(page)
  })

  test('takes continued lines as one command, and no file content, comment or syntax', () => {
    const page = block(
      "# first\ncat > a.yml <<'END'\nassent: no\nEND\nfor x in 1; do\n  assent a \\\n    b\ndone",
    )

    expect(countSteps('x.md', page)).toEqual({
      title: 'Title',
      file: 'x.md',
      commands: 2,
      assent: 1,
      copied: 0,
      carried: 0,
    })
  })

  test('tells values that the reader copies from those that the shell carries', () => {
    const id = 'ab'.repeat(32)
    const page = block(
      `assent dao approve host 0x${id}\nassent dao vote 1234567 for "$ID" $(cat x)`,
    )

    expect(countSteps('x.md', page)).toMatchObject({ copied: 1, carried: 2 })
  })
})
