import * as v from 'valibot'
import { parseNetwork } from '../../lib/client-address.ts'
import { parseJson } from '../../lib/json.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import { textMatcher } from '../../oci/names/wildcards.ts'
import { AddressRanges } from './address-ranges.ts'

/** The lists of all clouds are smaller; a longer file is a mistake. */
export const MOST_RANGE_FILE_BYTES = 16 * 1024 * 1024

const Text = v.optional(v.string())
/** AWS says `ip_prefix`, `ipv6_prefix` and `region`; Google Cloud `ipv4Prefix`, `ipv6Prefix` and `scope`. */
const Prefix = v.object({
  ip_prefix: Text,
  ipv6_prefix: Text,
  region: Text,
  ipv4Prefix: Text,
  ipv6Prefix: Text,
  scope: Text,
})
/** A service tag of Azure; its region is empty for a service that is in all of them. */
const ServiceTag = v.object({
  properties: v.object({ region: Text, addressPrefixes: v.array(v.string()) }),
})
const CloudRanges = v.object({
  prefixes: v.optional(v.array(Prefix), []),
  ipv6_prefixes: v.optional(v.array(Prefix), []),
  values: v.optional(v.array(ServiceTag), []),
})

interface Network {
  readonly text: string
  readonly region: string | undefined
}

/**
 * Reads a file of networks: `ip-ranges.json` of AWS, `cloud.json` of Google Cloud, the service tags of
 * Azure, or one network a line. With `regions` (patterns with `*`) only those of some regions count. Throws a `FileProblem` for a file that has none.
 */
export function parseRangeFile(
  text: string,
  { file, regions }: { readonly file: string; readonly regions: readonly string[] | undefined },
): AddressRanges {
  const all = text.trimStart().startsWith('{') ? networksInJson(text, file) : networksInLines(text)
  const wrong = all.find((network) => parseNetwork(network.text) === undefined)
  if (wrong !== undefined) {
    throw new FileProblem(
      file,
      `${file} has "${wrong.text.slice(0, 50)}", which is no network such as 10.0.0.0/8`,
    )
  }
  const matchers = regions?.map(textMatcher)
  const wanted = all.filter(
    ({ region }) =>
      matchers === undefined || (region !== undefined && matchers.some((matches) => matches(region))),
  )
  if (wanted.length === 0) {
    const which = regions === undefined ? '' : ` in the regions ${regions.join(', ')}`
    throw new FileProblem(file, `${file} has no network${which}`)
  }
  return new AddressRanges(wanted.map((network) => network.text))
}

function networksInJson(text: string, file: string): readonly Network[] {
  const ranges = v.safeParse(CloudRanges, parseJson(text))
  if (!ranges.success) {
    throw new FileProblem(
      file,
      `${file} is neither ip-ranges.json of AWS nor cloud.json of Google Cloud nor the service tags of Azure`,
    )
  }
  const { prefixes, ipv6_prefixes, values } = ranges.output
  const ofAzure = values.flatMap(({ properties: { region, addressPrefixes } }) =>
    addressPrefixes.map((network) => ({ text: network, region: region === '' ? undefined : region })),
  )
  const others = [...prefixes, ...ipv6_prefixes].flatMap((prefix) => {
    const network = prefix.ip_prefix ?? prefix.ipv6_prefix ?? prefix.ipv4Prefix ?? prefix.ipv6Prefix
    return network === undefined ? [] : [{ text: network, region: prefix.region ?? prefix.scope }]
  })
  return [...others, ...ofAzure]
}

/** What follows a `#` is a comment. */
function networksInLines(text: string): readonly Network[] {
  return text
    .split('\n')
    .map((line) => line.split('#', 1)[0]?.trim() ?? '')
    .filter((line) => line !== '')
    .map((line) => ({ text: line, region: undefined }))
}
