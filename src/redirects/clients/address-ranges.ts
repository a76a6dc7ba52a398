import { isIP, isIPv6 } from 'node:net'
import { parseNetwork, plainAddress } from '../../lib/client-address.ts'

interface Range {
  readonly first: bigint
  readonly last: bigint
}

const BITS = { v4: 32n, v6: 128n } as const

/** A set of networks that is asked often and may be large, as those of a cloud: they are sorted and merged once. */
export class AddressRanges {
  readonly #v4: readonly Range[]
  readonly #v6: readonly Range[]

  /** Throws for a text that is no network such as `10.0.0.0/8`. */
  constructor(networks: readonly string[]) {
    const parsed = networks.map((text) => {
      const network = parseNetwork(text)
      if (network === undefined) throw new Error(`"${text}" is not a network; write one such as 10.0.0.0/8`)
      return network
    })
    this.#v4 = merged(parsed.filter(({ address }) => !isIPv6(address)).map((one) => rangeOf(one, BITS.v4)))
    this.#v6 = merged(parsed.filter(({ address }) => isIPv6(address)).map((one) => rangeOf(one, BITS.v6)))
  }

  has(address: string): boolean {
    const plain = plainAddress(address)
    const ranges = isIPv6(plain) ? this.#v6 : this.#v4
    if (ranges.length === 0 || isIP(plain) === 0) return false
    const value = numberOf(plain)
    let [low, high] = [0, ranges.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((ranges[middle]?.first ?? 0n) <= value) low = middle
      else high = middle - 1
    }
    const found = ranges[low]
    return found !== undefined && found.first <= value && value <= found.last
  }
}

function rangeOf({ address, bits }: { address: string; bits: number }, width: bigint): Range {
  const hostBits = width - BigInt(bits)
  const first = (numberOf(address) >> hostBits) << hostBits
  return { first, last: first + (1n << hostBits) - 1n }
}

/** Sorts the ranges, and joins those that overlap or touch. */
function merged(ranges: readonly Range[]): readonly Range[] {
  const sorted = [...ranges].sort((one, other) => (one.first < other.first ? -1 : 1))
  const joined: Range[] = []
  for (const range of sorted) {
    const before = joined.at(-1)
    if (before === undefined || range.first > before.last + 1n) joined.push(range)
    else if (range.last > before.last) joined[joined.length - 1] = { first: before.first, last: range.last }
  }
  return joined
}

/** The number that an address is. */
function numberOf(address: string): bigint {
  if (!isIPv6(address)) return address.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n)
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)
}
