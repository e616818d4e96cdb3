/** Writes `src/kms/rpc/kms_pb.ts` from `kms.proto` with buf, or with `--check` says if it is up to date. */
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { projectRoot, runTool } from '../run-tool.ts'

const source = 'src/kms/rpc'
const target = path.join(projectRoot, source, 'kms_pb.ts')
const plugin = path.join(projectRoot, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es')

const folder = await mkdtemp(path.join(tmpdir(), 'assent-protobuf-'))
try {
  const template = {
    version: 'v2',
    plugins: [
      {
        local: [process.execPath, plugin],
        out: folder,
        opt: ['target=ts', 'import_extension=ts'],
      },
    ],
  }
  const command = ['buf', 'generate', '--template', JSON.stringify(template), source]
  if (!(await runTool(command))) process.exit(1)
  const generated = path.join(folder, 'kms_pb.ts')
  if (!process.argv.includes('--check')) {
    await copyFile(generated, target)
  } else if ((await readFile(generated, 'utf8')) !== (await readFile(target, 'utf8'))) {
    console.error(`${source}/kms_pb.ts is not what kms.proto says: run npm run generate`)
    process.exitCode = 1
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
