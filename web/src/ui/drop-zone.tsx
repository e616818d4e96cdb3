/** A place for files: dropped there, or chosen with its button. No file leaves the computer. */
import { type ReactNode, useRef, useState } from 'react'

export function DropZone({
  label,
  className = 'drop',
  what,
  button,
  buttonClass = 'button',
  input: { label: inputLabel, ...attributes },
  onFiles,
  children,
}: {
  /** Of the region, for screen readers. */
  label: string
  className?: string
  /** Which files may be dropped. */
  what: ReactNode
  button: string
  buttonClass?: string
  input: { label: string; accept?: string; multiple?: boolean }
  /** Called with the files of one drop or choice; null if there are none. */
  onFiles: (files: FileList | null) => void
  children?: ReactNode
}) {
  const [isOver, setOver] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  return (
    <section
      className={className}
      aria-label={label}
      data-over={isOver}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        onFiles(event.dataTransfer.files)
      }}
    >
      <p>{what}</p>
      <button type="button" className={buttonClass} onClick={() => input.current?.click()}>
        {button}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={inputLabel}
        onChange={(event) => onFiles(event.target.files)}
        {...attributes}
      />
      {children}
    </section>
  )
}
