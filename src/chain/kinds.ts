/** Kinds by their number on-chain (contracts/types/Kind.sol). */
export const kinds = {
  osImage: 0,
  kmsMeasurement: 1,
  kmsDevice: 2,
  app: 3,
  release: 4,
  device: 5,
  host: 6,
  rootKey: 7,
  measurements: 8,
} as const

/** Type of an approved thing, one of {@link kinds}. */
export type Kind = keyof typeof kinds

/** As commands name them: `osImage` → `os-image`. */
export function kindName(kind: Kind): string {
  return kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Kinds by the names that commands and files use, such as `os-image`. */
export const kindsByName: ReadonlyMap<string, Kind> = new Map(
  (Object.keys(kinds) as Kind[]).map((kind) => [kindName(kind), kind]),
)

/** All kinds as commands name them, for help texts: `os-image, kms-measurement, …`. */
export const kindList: string = [...kindsByName.keys()].join(', ')
