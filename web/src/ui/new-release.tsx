/** Approve or propose a release from a dropped file. The file is hashed in this browser. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useId, useState } from 'react'

import { appAbi } from '../../../src/chain/abi.ts'
import { decodeApproval } from '../../../src/chain/approval.ts'
import { addressBook } from '../../../src/chain/governance/describe-call.ts'
import { requireCallsSucceed } from '../../../src/chain/governance/execution-method.ts'
import { proposalCall } from '../../../src/chain/governance/governance.ts'
import { describeProposal } from '../../../src/chain/governance/proposal-text.ts'
import {
  defaultNotAfter,
  readDaoSettings,
  requireVotesToPropose,
} from '../../../src/chain/governance/proposals.ts'
import { approveManifest } from '../../../src/chain/registries/app.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { escapeText } from '../../../src/lib/printable.ts'
import { agreedClient } from '../data/agreed-client.ts'
import type { AgreedBlock } from '../data/chain.ts'
import { useSources } from '../data/context.tsx'
import {
  type DroppedFile,
  type DroppedRelease,
  isComposeFile,
  maxFileBytes,
  readRelease,
} from '../data/dropped-release.ts'
import { useAgreedBlock } from '../data/facts.ts'
import type { At, Row } from '../data/indexer.ts'
import { follow, type Status } from '../wallet/follow.ts'
import { type Connection, describeWalletError, send, useConnection } from '../wallet/wallets.ts'
import { DropZone } from './drop-zone.tsx'
import { Origin } from './origin.tsx'
import { Hash, Panel, Table } from './parts.tsx'
import { WalletChoice } from './wallet-choice.tsx'

interface Props {
  readonly id: Hex
  readonly rows: readonly Row<'approvals'>[]
  readonly at: At | undefined
}

export function NewRelease(props: Props) {
  const [file, setFile] = useState<DroppedFile>()
  const [problem, setProblem] = useState('')
  const [name, setName] = useState('app')
  const nameId = useId()
  const take = async (list: FileList | null) => {
    const given = list?.[0]
    if (given === undefined) return
    const isSmall = given.size <= maxFileBytes
    setProblem(isSmall ? '' : `${given.name} has more than ${maxFileBytes} bytes.`)
    setFile(
      isSmall ? { name: given.name, bytes: new Uint8Array(await given.arrayBuffer()) } : undefined,
    )
  }
  return (
    <Panel title="New release" note="hashed in this browser; no file leaves this computer">
      <div className="body">
        <DropZone
          label="File of a release"
          what={
            <>
              Drop an <code>app-compose.json</code> or a <code>docker-compose.yml</code>.
            </>
          }
          button="Choose a file"
          input={{ label: 'File of the release', accept: '.json,.yml,.yaml' }}
          onFiles={(list) => void take(list)}
        >
          {file !== undefined && isComposeFile(file) ? (
            <label className="small soft" htmlFor={nameId}>
              Name of the app in the manifest{' '}
              <input
                id={nameId}
                value={name}
                maxLength={64}
                onChange={(event) => setName(event.target.value)}
              />
            </label>
          ) : null}
        </DropZone>
        {problem === '' ? null : <p role="alert">{problem}</p>}
        {file === undefined ? null : <Dropped file={file} name={name} {...props} />}
      </div>
    </Panel>
  )
}

function Dropped({ file, name, ...props }: Props & { file: DroppedFile; name: string }) {
  let release: DroppedRelease
  try {
    release = readRelease(file, name)
  } catch (error) {
    return (
      <p className="notice bad" role="alert">
        {file.name}: {sentenceOf(error)}
      </p>
    )
  }
  const { manifest, description, findings } = release
  const known = props.rows.find(({ subject }) => subject === manifest.composeHash)
  return (
    <>
      <p className="answer">
        <span>Compose hash</span> <Hash value={manifest.composeHash} digits={16} />
        {isComposeFile(file) ? <Download manifest={manifest.raw} /> : null}
      </p>
      {known === undefined ? null : (
        <p className="notice">
          The app knows this release already: number {decodeApproval(BigInt(known.word)).index}.
        </p>
      )}
      <Table columns={['Service', 'Image']}>
        {description.services.map(({ name: service, image }) => (
          <tr key={service}>
            <td>{escapeText(service)}</td>
            <td className="foreign">{escapeText(image)}</td>
          </tr>
        ))}
      </Table>
      <ul className="conditions">
        {findings.map(({ code, severity, place, found, nextStep }) => (
          <li
            key={`${code} ${place} ${found}`}
            data-state={severity === 'error' ? 'unmet' : 'unknown'}
          >
            <span className="mark" aria-hidden="true">
              {severity === 'error' ? '✗' : '!'}
            </span>
            <span>
              {severity}: {escapeText(place)}: {escapeText(found)}
            </span>
            <span className="next">{escapeText(nextStep)}</span>
          </li>
        ))}
      </ul>
      <Approve release={release} {...props} />
    </>
  )
}

function Download({ manifest }: { manifest: Uint8Array }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([new Uint8Array(manifest)]))
    Object.assign(document.createElement('a'), { href: url, download: 'app-compose.json' }).click()
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
  }
  return (
    <button type="button" className="button" onClick={save}>
      Save app-compose.json
    </button>
  )
}

function Approve({ release, ...props }: Props & { release: DroppedRelease }) {
  const connection = useConnection()
  if (connection === undefined) return <WalletChoice command="assent app release" />
  return <Send key={connection.account} release={release} connection={connection} {...props} />
}

/** Sends the approval if the account owns the app; proposes it if the DAO of the deployment does. */
function Send({
  id,
  at,
  release: { manifest },
  connection,
}: Props & { release: DroppedRelease; connection: Connection }) {
  const { chain, settings } = useSources()
  const { addresses, chainId } = settings
  const governor = addresses.governor as Hex
  const { account } = connection
  const block = useAgreedBlock(at)
  const queries = useQueryClient()
  const [status, setStatus] = useState<Status>()
  const owner = useQuery({
    queryKey: ['owner', id, block.data?.header.hash],
    queryFn: () =>
      agreedClient(chain, chainId, block.data as AgreedBlock).readContract({
        address: id,
        abi: appAbi,
        functionName: 'owner',
      }),
    enabled: block.data !== undefined,
    placeholderData: (previous) => previous,
  })
  const isSame = (other: string | undefined) =>
    other !== undefined && owner.data?.toLowerCase() === other.toLowerCase()
  const isOwner = isSame(account)
  const isOfDao = isSame(addresses.timelock)
  const run = async (block: AgreedBlock) => {
    try {
      setStatus({ text: 'Simulating it …', isProblem: false })
      const client = agreedClient(chain, chainId, block)
      const now = Number(block.header.timestamp)
      const notAfter = await defaultNotAfter(client, governor, now)
      const approval = approveManifest(id, manifest.composeHash, manifest.raw, { notAfter })
      await requireCallsSucceed(client, [approval], { account: owner.data as Hex })
      let call = approval
      if (!isOwner) {
        await requireVotesToPropose(
          client,
          await readDaoSettings(client, governor),
          governor,
          account,
        )
        const book = addressBook(addresses, { apps: [id] })
        const text = describeProposal([approval], { book, proposer: account })
        call = proposalCall(governor, [approval], text)
      }
      setStatus({ text: 'Confirm it in the wallet …', isProblem: false })
      const hash = await send(connection, chainId, call)
      setStatus({ text: `Sent: ${hash}. Waiting for a block …`, isProblem: false })
      setStatus(await follow(chain, hash, account, call))
      await queries.invalidateQueries({ queryKey: ['head'] })
    } catch (error) {
      const text = isAssentError(error) ? error.message : describeWalletError(error)
      setStatus({ text, isProblem: true })
    }
  }
  const error = block.error ?? owner.error
  if (owner.data === undefined || block.error !== null) {
    return (
      <p role={error === null ? 'status' : 'alert'}>
        {error === null
          ? 'Reading the owner of the app …'
          : `The owner of the app cannot be read: ${error.message}`}
      </p>
    )
  }
  return (
    <>
      <p>
        Owner of the app: <Hash value={owner.data} name={isOfDao ? 'the DAO' : undefined} />{' '}
        <Origin name="agreed" />
      </p>
      {isOwner || isOfDao ? (
        <p className="buttons">
          <button
            type="button"
            className="button main"
            disabled={block.data === undefined}
            onClick={() => block.data !== undefined && void run(block.data)}
          >
            {isOwner ? 'Approve the release' : 'Propose the release'}
          </button>
        </p>
      ) : (
        <p>
          The connected account does not own the app. Its owner can approve this release, also with
          the command assent app release.
        </p>
      )}
      {status === undefined ? null : (
        <p role={status.isProblem ? 'alert' : 'status'}>{status.text}</p>
      )}
    </>
  )
}

function sentenceOf(error: unknown): string {
  if (!isAssentError(error)) return 'The file is not UTF-8 text.'
  const { found } = (error.facts ?? {}) as { found?: unknown }
  return escapeText(
    found === undefined ? error.message : `${error.message} Found: ${String(found).slice(0, 300)}.`,
  )
}
