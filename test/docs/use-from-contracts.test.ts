/** The Solidity of docs/use-from-contracts.md is the contract that the Solidity tests compile and run. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

test('the contract of the page is compiled and tested', async () => {
  const page = await readFile(join(root, 'docs/use-from-contracts.md'), 'utf8')
  const tested = await readFile(join(root, 'test/contracts/UseFromContracts.t.sol'), 'utf8')
  const [, block = ''] = /```solidity\n([\s\S]*?)```/.exec(page) ?? []
  const [imported = '', , ...lines] = block.split('\n')

  expect(imported.replace('assent/', '../../')).toBe(
    tested.split('\n').find((line) => line.includes('IInstanceSignatures')),
  )
  expect(lines.join('\n')).toMatch(/^contract Price \{/)
  expect(tested).toContain(lines.join('\n'))
})

test('the contract that sends requests is compiled and tested', async () => {
  const page = await readFile(join(root, 'docs/use-from-contracts.md'), 'utf8')
  const tested = await readFile(join(root, 'test/contracts/UseRequests.t.sol'), 'utf8')
  const [, second] = [...page.matchAll(/```solidity\n([\s\S]*?)```/g)]
  const [imported = '', , ...lines] = (second?.[1] ?? '').split('\n')

  expect(tested.split('\n')).toContain(imported.replace('assent/', '../../'))
  expect(lines.join('\n')).toMatch(/^contract Question /)
  expect(tested).toContain(lines.join('\n'))
})
