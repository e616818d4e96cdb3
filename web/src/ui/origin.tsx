/** The mark beside a value that says where it comes from, with the details behind it. */
import * as Popover from '@radix-ui/react-popover'
import type { ReactNode } from 'react'

import type { Check, Checked } from '../data/checks.ts'
import { Icon, type IconName } from './icons.tsx'

/** Where a value comes from, from the strongest to the weakest. */
export type OriginName = 'proof' | 'agreed' | 'event' | 'claim' | 'unchecked' | 'differs'

const texts: Record<OriginName, { readonly title: string; readonly text: string }> = {
  proof: {
    title: 'Proven',
    text: 'Your browser verified it with a storage proof under the header of a block on which the endpoints agree.',
  },
  agreed: {
    title: 'Endpoints agree',
    text: 'A contract answered it, and enough endpoints gave the same answer for an agreed block.',
  },
  event: {
    title: 'From events',
    text: 'The indexer read it from events. It is not proven here: decide nothing on it alone.',
  },
  claim: {
    title: 'A claim',
    text: 'Somebody wrote this. Nothing checks whether it is true.',
  },
  unchecked: {
    title: 'Not checked',
    text: 'It could not be checked. It is what the indexer says, and counts for nothing until it is proven.',
  },
  differs: {
    title: 'The indexer said something else',
    text: 'The storage proof shows another value than the indexer. The proven value is shown.',
  },
}

/** The mark of an origin. @param details what else is known about the check */
export function Origin({ name, details }: { name: OriginName; details?: ReactNode }) {
  const { title, text } = texts[name]
  return (
    <Popover.Root>
      <Popover.Trigger
        className="origin"
        data-origin={name}
        aria-label={`Where this comes from: ${title}`}
        title={title}
      >
        <Icon name={name as IconName} size={15} />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover" sideOffset={4} collisionPadding={10}>
          <h3>{title}</h3>
          <p>{text}</p>
          {details === undefined ? null : <p className="small soft">{details}</p>}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}

/** Which mark a check gives. */
export function originOf(check: Check | undefined): OriginName {
  if (check === undefined) return 'unchecked'
  return check.state === 'proven' ? 'proof' : check.state
}

/** The mark of a checked row. */
export function CheckOrigin({ id, checked }: { id: string; checked: Checked | undefined }) {
  const check = checked?.checks.get(id)
  return <Origin name={originOf(check)} details={detailsOf(check, checked)} />
}

function detailsOf(check: Check | undefined, checked: Checked | undefined): ReactNode {
  if (check === undefined) return 'The check is still running.'
  if (check.state === 'unchecked') return check.why
  const { agreement, header } = checked?.block ?? {}
  const where = `Block ${header?.number}, ${header?.hash}. ${agreement?.endpoints.length} of ${agreement?.configured} endpoints agree; ${agreement?.required} must.`
  if (check.state === 'proven') return where
  return check.differences
    .map(
      ({ what, told, proven }) => `${what}: the indexer said ${told}, the proof shows ${proven}.`,
    )
    .join(' ')
}
