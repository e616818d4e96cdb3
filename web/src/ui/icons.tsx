/** Icons, drawn in lines of the text's colour. Their meaning is always also in words. */
const paths = {
  brand:
    'M12 3 4.5 6v5.5c0 4.4 3.1 7.9 7.5 9.5 4.4-1.6 7.5-5.1 7.5-9.5V6L12 3Zm-3.6 9 2.5 2.5 4.9-5',
  proof: 'M12 3.2 5 6v5.4c0 4.2 2.9 7.4 7 9 4.1-1.6 7-4.8 7-9V6l-7-2.8Zm-3.2 8.9 2.3 2.3 4.3-4.5',
  agreed: 'M8.5 12.5l2.3 2.3 4.7-5M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z',
  event: 'M6 4.5h12v15H6zM9 9h6M9 12.5h6M9 16h3.5',
  claim: 'M5 5.5h14v10.2h-8.2L7 19v-3.3H5zM9 9.3h6M9 12h4',
  unchecked: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 8v5M12 15.8v.4',
  differs: 'M12 4 3.5 19h17L12 4ZM12 10v4.2M12 16.6v.4',
  copy: 'M9 9h10v11H9zM15 9V4.5H5V16h4',
  done: 'M5 12.5l4.2 4.2L19 7',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.8v2M12 19.2v2M2.8 12h2M19.2 12h2M5.5 5.5l1.4 1.4M17.1 17.1l1.4 1.4M18.5 5.5l-1.4 1.4M6.9 17.1l-1.4 1.4',
  moon: 'M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7Z',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={paths[name]} />
    </svg>
  )
}
