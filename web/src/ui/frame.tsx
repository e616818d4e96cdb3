/** What is around every page: navigation, the state of the sources, and the alarm. */
import { Link, Outlet } from '@tanstack/react-router'
import { useEffect } from 'react'

import { formatDuration } from '../../../src/chain/governance/format-time.ts'
import { useHead, useSources } from '../data/context.tsx'
import { useAgreedBlock } from '../data/facts.ts'
import { useDifferences } from '../data/trust.ts'
import { Icon } from './icons.tsx'
import { useTheme } from './theme.ts'

const pages = [
  ['/', 'Overview'],
  ['/proposals', 'Proposals'],
  ['/apps', 'Apps'],
  ['/machines', 'Machines'],
  ['/images', 'Images'],
  ['/kms', 'KMS'],
  ['/quote', 'Quote'],
] as const

export function Frame() {
  const { settings } = useSources()
  const [theme, toggleTheme] = useTheme()
  return (
    <>
      <button
        type="button"
        className="skip"
        onClick={() => document.getElementById('main')?.focus()}
      >
        Skip to the content
      </button>
      <Alarm />
      <div className="frame">
        <header className="side">
          <Link to="/" className="brand">
            <Icon name="brand" size={22} /> Assent
          </Link>
          <nav aria-label="Pages">
            <ul>
              {pages.map(([to, name]) => (
                <li key={to}>
                  <Link to={to} activeOptions={{ exact: to === '/' }}>
                    {name}
                  </Link>
                </li>
              ))}
            </ul>
          </nav>
          <div className="foot">
            <span className="long">
              {settings.name}, chain {settings.chainId}
            </span>
            <button type="button" className="button" onClick={toggleTheme}>
              <Icon name={theme === 'dark' ? 'sun' : 'moon'} size={14} />{' '}
              {theme === 'dark' ? 'Light' : 'Dark'}
            </button>
          </div>
        </header>
        <div>
          <SourceBar />
          <main id="main" tabIndex={-1}>
            <Outlet />
          </main>
        </div>
      </div>
    </>
  )
}

/** Which block is shown, and which endpoints agree on it. */
function SourceBar() {
  const head = useHead()
  const agreed = useAgreedBlock(head.data)
  const { chain } = useSources()
  if (head.error !== null) {
    return (
      <section className="top" aria-label="Sources">
        <span role="alert">
          <b>The indexer does not answer.</b> {head.error.message}
        </span>
      </section>
    )
  }
  const { block, time } = head.data ?? {}
  const age = time === undefined ? undefined : Math.floor(Date.now() / 1000) - time
  const others = agreed.data?.disagreeing ?? []
  return (
    <section className="top" aria-label="Sources">
      <span>
        Block <b>{block ?? '…'}</b>
      </span>
      {age === undefined ? null : (
        <span>
          {Math.abs(age) < 120 ? (
            'now'
          ) : (
            <b>
              {formatDuration(age).split(' ').slice(0, 4).join(' ')}{' '}
              {age > 0 ? 'behind' : 'ahead of'} your clock
            </b>
          )}
        </span>
      )}
      {agreed.error !== null ? (
        <span role="alert">
          <b>Nothing is checked:</b> {agreed.error.message}
        </span>
      ) : (
        <span>
          <b>
            {agreed.data?.agreement.endpoints.length ?? '…'} of {chain.endpoints.length}
          </b>{' '}
          endpoints agree
          {others.length === 0
            ? null
            : ` (not ${others.map(({ endpoint, code }) => `${endpoint}: ${code}`).join(', ')})`}
        </span>
      )}
      <span>
        {chain.required === 1 && chain.endpoints.length === 1
          ? 'One endpoint: it alone says which block is real'
          : `${chain.required} must agree`}
      </span>
    </section>
  )
}

/** The page turns red when the indexer said something that the chain contradicts. */
function Alarm() {
  const differences = useDifferences()
  useEffect(() => {
    if (differences.length > 0) document.documentElement.dataset.alarm = 'true'
  }, [differences])
  if (differences.length === 0) return null
  return (
    <section className="alarm" role="alert" aria-label="Alarm">
      <h2>The indexer lies, or is wrong</h2>
      <p>
        {differences.length === 1 ? 'A value' : `${differences.length} values`} from the indexer
        {differences.length === 1 ? ' is' : ' are'} contradicted by storage proofs. Do not decide on
        anything that this page shows without a proof. Use another indexer.
      </p>
      <details>
        <summary>What differs</summary>
        <ul>
          {differences.slice(0, 50).map(({ what, told, proven, block, address, slot }) => (
            <li key={`${address}:${slot}`}>
              {what}, block {block}: the indexer said <code>{told}</code>, the proof shows{' '}
              <code>{proven}</code>
            </li>
          ))}
        </ul>
      </details>
    </section>
  )
}
