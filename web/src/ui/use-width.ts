/** The width of an element on the screen, so that a chart has one unit for each pixel and its texts keep their size. */
import { type RefObject, useLayoutEffect, useRef, useState } from 'react'

/** @returns a reference for the element, and its width in pixels; `first` until it is known */
export function useWidth<T extends Element>(first: number): [RefObject<T | null>, number] {
  const element = useRef<T>(null)
  const [width, setWidth] = useState(first)
  useLayoutEffect(() => {
    if (element.current === null) return
    const observer = new ResizeObserver(([entry]) => {
      const found = Math.floor(entry?.contentRect.width ?? 0)
      if (found > 0) setWidth(found)
    })
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [])
  return [element, width]
}
