import { publish } from '../observe/events.ts'
import { parseRegistryHost } from '../oci/names/registry-host.ts'
import { parseRegistryUrl, type RegistryUrl } from '../oci/names/registry-url.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { RedirectedHost, RedirectedRequest, WebPage } from '../ports/redirects/redirected-host.ts'
import type { BucketParts } from './buckets/redirect-bucket.ts'
import { hostNameOf } from './host-name.ts'
import { locationAt, repositoryAt } from './location.ts'
import { NearBuckets } from './near-buckets.ts'
import type { RedirectOptions } from './options.ts'
import { pageOf } from './page.ts'
import { PullCounts } from './pull-counts.ts'

/** How many names are counted for the page. */
const MOST_COUNTED = 512
const SHOWN_ON_PAGE = 20

/** One entry of `redirects`. */
export class ConfiguredHost implements RedirectedHost {
  readonly #options: RedirectOptions
  readonly #target: RegistryUrl
  readonly #buckets: NearBuckets
  readonly #pulls = new PullCounts(MOST_COUNTED)

  constructor(options: RedirectOptions, parts: BucketParts) {
    const target = parseRegistryUrl(options.to)
    if (target === undefined) throw new Error(`${options.to} is no https URL with /v2/ and a final slash`)
    this.#options = options
    this.#target = target
    this.#buckets = new NearBuckets(options, parts)
  }

  /** Reads the files. Rejects with a `FileProblem` if one cannot be used. */
  open(): Promise<void> {
    return this.#buckets.open()
  }

  close(): Promise<void> {
    return this.#buckets.close()
  }

  repositoryOf(name: string): Repository | undefined {
    return repositoryAt(this.#target, name)
  }

  async locate(request: RedirectedRequest): Promise<string | undefined> {
    const { host, mode = 'redirect' } = this.#options
    const { repository, wanted, query, isGet } = request
    if (wanted.kind === 'manifest' && isGet) this.#pulls.add(this.#nameHere(repository))
    const near = await this.#buckets.locate(request)
    if (near === undefined && mode === 'serve') return undefined
    const target = near?.bucket ?? 'upstream'
    publish('redirect.answered', { host, target, kind: wanted.kind, repository })
    return near?.url ?? locationAt(this.#target, repository, wanted, query)
  }

  page(sentTo: string | undefined): WebPage {
    const { host, mode = 'redirect', clients = [] } = this.#options
    const { registry, prefix } = this.#target
    return pageOf({
      host: shownHost(host, sentTo),
      registry: prefix === '' ? registry : `${registry}/${prefix}`,
      mode,
      hasBuckets: clients.length > 0,
      pulls: this.#pulls.top(SHOWN_ON_PAGE),
    })
  }

  /** The name of a repository on this host. */
  #nameHere({ name }: Repository): string {
    const { prefix } = this.#target
    return prefix === '' ? name : name.slice(prefix.length + 1)
  }
}

/** The configured name of the host, with the port that the client has used. */
function shownHost(configured: string, sentTo: string | undefined): string {
  const used = sentTo === undefined ? undefined : parseRegistryHost(sentTo)
  if (configured === '*') return used ?? 'HOST'
  return used !== undefined && hostNameOf(used) === configured ? used : configured
}
