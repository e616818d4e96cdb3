/** A dropped quote: verified in this browser without a server, and drawn so that one sees what vouches for what. */
import { useState } from 'react'

import { formatTime } from '../../../src/chain/governance/format-time.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { describeQuote } from '../../../src/quote/to-json.ts'
import {
  checkQuote,
  type Dropped,
  describeError,
  maxFileBytes,
  type QuoteReport,
} from '../quote/check.ts'
import { DropZone } from '../ui/drop-zone.tsx'
import { Hash, Heading, Panel } from '../ui/parts.tsx'

export function Page() {
  const [files, setFiles] = useState<readonly Dropped[]>([])
  const [at, setAt] = useState('')
  const add = async (list: FileList | null) => {
    const added = await Promise.all(
      [...(list ?? [])]
        .filter(({ size }) => size <= maxFileBytes)
        .map(async (file) => ({
          name: file.name,
          bytes: new Uint8Array(await file.arrayBuffer()),
        })),
    )
    setFiles((before) => [
      ...before.filter(({ name }) => !added.some((each) => each.name === name)),
      ...added,
    ])
  }
  const time = at === '' ? Math.floor(Date.now() / 1000) : Date.parse(`${at}Z`) / 1000
  return (
    <>
      <Heading title="Quote">
        <p>Verified in this browser. No file leaves this computer.</p>
      </Heading>
      <div className="grid">
        <DropZone
          label="Files of a quote"
          className="drop panel"
          what="Drop a quote (raw, hexadecimal, or the answer of the guest agent) and its collateral (JSON)."
          button="Choose files"
          buttonClass="button main"
          input={{ label: 'Files', multiple: true }}
          onFiles={(list) => void add(list)}
        >
          <p className="small soft">
            For a simulated quote, add the root certificate of the simulator (<code>.der</code>).
          </p>
          <label className="small soft">
            Time of the verdict (UTC), default: now{' '}
            <input
              type="datetime-local"
              step="1"
              value={at}
              onChange={(event) => setAt(event.target.value)}
            />
          </label>
          {files.length === 0 ? null : (
            <p className="small">
              {files.map(({ name }) => name).join(', ')}{' '}
              <button type="button" className="button" onClick={() => setFiles([])}>
                Clear
              </button>
            </p>
          )}
        </DropZone>
        {files.length === 0 ? null : <Result files={files} at={time} />}
      </div>
    </>
  )
}

function Result({ files, at }: { files: readonly Dropped[]; at: number }) {
  let report: QuoteReport
  try {
    report = checkQuote(files, at)
  } catch (error) {
    return (
      <p className="notice bad panel" role="alert">
        {describeError(error)}
      </p>
    )
  }
  return (
    <>
      <VerdictPanel report={report} />
      <Chain report={report} />
      {report.boot === undefined ? null : <Boot boot={report.boot} />}
      <Fields report={report} />
    </>
  )
}

function VerdictPanel({ report: { verdict, root, at } }: { report: QuoteReport }) {
  const tone = verdict === undefined ? 'unproven' : verdict.verdict === 'verified' ? 'good' : 'bad'
  return (
    <Panel title="Verdict" note={`at ${formatTime(at)}`} span="span-5">
      <div className="body">
        <p className="answer" role="status">
          <span className="state" data-tone={tone}>
            {verdict === undefined
              ? 'Not verified: there is no collateral'
              : verdict.verdict === 'verified'
                ? `Genuine, TCB ${verdict.status}`
                : `Rejected: ${verdict.code}`}
          </span>
        </p>
        {root === 'other' ? (
          <p className="notice">
            Verified under a root certificate that you gave, not under Intel’s. Such a quote proves
            nothing about hardware.
          </p>
        ) : null}
        {verdict?.verdict === 'rejected' ? <p>{verdict.message}</p> : null}
        {verdict?.verdict === 'verified' ? (
          <dl className="facts">
            <dt>TCB date</dt>
            <dd>{verdict.tcbDate}</dd>
            <dt>Advisories</dt>
            <dd>{verdict.advisoryIds.length === 0 ? 'none' : verdict.advisoryIds.join(', ')}</dd>
            <dt>Valid until</dt>
            <dd>{formatTime(verdict.expiresAt)}</dd>
            <dt>Device id</dt>
            <dd>
              <Hash
                value={`0x${toHex(verdict.deviceId)}`}
                to={`/machines/0x${toHex(verdict.deviceId)}`}
              />
            </dd>
            <dt>Platform family</dt>
            <dd>
              <code>{toHex(verdict.fmspc)}</code>
            </dd>
          </dl>
        ) : null}
      </div>
    </Panel>
  )
}

/** Each step vouches for the next one. The first step that fails is where a rejection comes from. */
function Chain({ report }: { report: QuoteReport }) {
  const { quote, verdict, root } = report
  const shown = describeQuote(quote)
  const pck = shown.pck as { subjectCommonName?: string; serial?: string }
  const isGenuine = verdict?.verdict === 'verified'
  const steps: readonly (readonly [string, string, string])[] = [
    [
      root === 'intel' ? 'Intel’s root key' : 'A root certificate that you gave',
      root === 'intel' ? 'built into this page' : 'not Intel’s',
      'signs',
    ],
    [
      pck.subjectCommonName ?? 'PCK certificate',
      `serial ${pck.serial ?? 'unknown'}; names the platform`,
      'signs',
    ],
    ['Report of the quoting enclave', `MRSIGNER ${shown.qeReport.mrSigner.slice(0, 16)}…`, 'names'],
    ['Attestation key', `${shown.attestationKey.slice(0, 24)}…`, 'signs'],
    [
      'TD report',
      `MRTD ${toHex(quote.report.mrTd).slice(0, 24)}…, RTMR3 ${toHex(quote.report.rtmrs[3]).slice(0, 24)}…`,
      '',
    ],
  ]
  return (
    <Panel
      title="What vouches for what"
      span="span-7"
      note={isGenuine ? 'every step was verified' : 'not every step is verified'}
    >
      <ol className="body vouch" data-genuine={isGenuine}>
        {steps.map(([name, detail, verb]) => (
          <li key={name}>
            <div className="vouch-box">
              <b>{name}</b>
              <span className="small soft">{detail}</span>
            </div>
            {verb === '' ? null : <span className="small soft vouch-verb">↓ {verb}</span>}
          </li>
        ))}
      </ol>
    </Panel>
  )
}

function Boot({ boot }: { boot: NonNullable<QuoteReport['boot']> }) {
  const rows = [
    ['App', boot.appId],
    ['Compose hash', boot.composeHash],
    ['Base image', boot.osImageHash],
    ['mr_aggregated', boot.mrAggregated],
    ['mr_system', boot.mrSystem],
  ] as const
  return (
    <Panel title="The boot" note="from the event log, which leads to RTMR3 of the quote">
      <dl className="body facts">
        {rows.map(([name, value]) => (
          <div key={name} className="facts-row">
            <dt>{name}</dt>
            <dd>
              {value === undefined ? (
                <span className="soft">not named</span>
              ) : (
                <Hash value={`0x${toHex(value)}`} digits={16} />
              )}
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  )
}

function Fields({ report }: { report: QuoteReport }) {
  return (
    <Panel title="All fields" note="as assent quote show prints them">
      <details className="body">
        <summary>Show</summary>
        <pre className="foreign">{JSON.stringify(describeQuote(report.quote), null, 2)}</pre>
      </details>
    </Panel>
  )
}
