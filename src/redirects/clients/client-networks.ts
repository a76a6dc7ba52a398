import { type FileProblem, WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import { AddressRanges } from './address-ranges.ts'
import { MOST_RANGE_FILE_BYTES, parseRangeFile } from './range-file.ts'

/** Where some clients are: in networks, or in those that a file lists. */
export interface NetworkOptions {
  /** Such as `10.0.0.0/8` or `fd00::/8`. */
  readonly networks?: readonly string[]
  /** Files with networks, which are read again when they change. */
  readonly ranges?: readonly RangeFileOptions[]
}

export interface RangeFileOptions {
  /** `ip-ranges.json` of AWS, `cloud.json` of Google Cloud, or one network a line. */
  readonly file: string
  /** The regions that count, with `*` for any text; default: all. */
  readonly regions?: readonly string[]
}

/** How long a look at a file is believed. */
const LOOK_MS = 10_000

/** The networks of one entry of `clients`. */
export class ClientNetworks {
  readonly #networks: AddressRanges
  readonly #files: readonly WatchedFile<AddressRanges>[]

  constructor({ networks = [], ranges = [] }: NetworkOptions, { checkMs = LOOK_MS } = {}) {
    this.#networks = new AddressRanges(networks)
    this.#files = ranges.map(({ file, regions }) => {
      return new WatchedFile(file, {
        parse: (text) => parseRangeFile(text, { file, regions }),
        limitBytes: MOST_RANGE_FILE_BYTES,
        checkMs,
        onProblem: (problem: FileProblem | undefined) =>
          publish('file.checked', { file, problem: problem?.message }),
      })
    })
  }

  /** Reads the files. Rejects with a `FileProblem` if one cannot be used. */
  async open(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.read()))
  }

  async has(address: string): Promise<boolean> {
    if (this.#networks.has(address)) return true
    for (const file of this.#files) if ((await file.read()).has(address)) return true
    return false
  }
}
