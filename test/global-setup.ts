import { announceVectors } from './vectors.ts'

export default function setup(): void {
  announceVectors()
}
