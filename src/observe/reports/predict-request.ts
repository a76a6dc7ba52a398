import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { OwnerReport } from '../../schemas/peer-report.ts'
import type { WhyReport } from '../../schemas/why-report.ts'
import type { HostRecords } from '../records/hosts.ts'
import { redact } from '../redact.ts'
import { sizeText, spanText } from '../text.ts'
import type { FlightView, NodeView } from './view.ts'

/** What this node knows about the requested content. */
export interface RequestFacts {
  readonly view: Pick<NodeView, 'isAllowed' | 'hosts' | 'tagOwner' | 'hostedBucket'>
  readonly hosts: Pick<HostRecords, 'get'>
  readonly repository: Repository | undefined
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  readonly tagRecord: WhyReport['tagRecord']
  /** What is asked for is in a hosted repository. */
  readonly isHosted: boolean
  readonly isStored: boolean
  readonly flight: FlightView | undefined
  /** What the object store has of it; undefined when it is not asked. */
  readonly objectStore: WhyReport['objectStore']
  /** The owner of the digest. */
  readonly owner: OwnerReport | undefined
}

/** Says in one sentence what would happen to a request for this content now. */
export function predictRequest(facts: RequestFacts): string {
  const { repository, tag, view } = facts
  const { hostedBucket } = view
  if (facts.isHosted && hostedBucket !== undefined) {
    const asks = `A request asks ${hostedBucket} whether the repository has it`
    return facts.isStored
      ? `${asks}, and is served from the store.`
      : `${asks}; if so, it is fetched from peers, or from there.`
  }
  if (facts.isHosted)
    return facts.isStored
      ? 'A request is served what was pushed.'
      : 'A request gets 404: nothing of it was pushed, or it is lost.'
  if (repository !== undefined && !view.isAllowed(repository)) {
    return `A request gets 404: ${repositoryKey(repository)} is not on the allow list.`
  }
  if (tag !== undefined && repository !== undefined) return `${predictTag(facts, repository, tag)}.`
  return `${predictContent(facts)}.`
}

function predictTag(facts: RequestFacts, repository: Repository, tag: string): string {
  const { tagRecord } = facts
  const owner = facts.view.tagOwner(repository, tag)
  const hosts = hostsText(facts, repository)
  const asked = owner === undefined || owner.self ? hosts : `its owner ${owner.name}, then ${hosts}`
  if (tagRecord === null)
    return `The tag is not known to this node: a request asks ${asked} for it and for its manifest`
  const { ageMs, tagTtlMs, staleIfErrorMs, state } = tagRecord
  if (state === 'fresh') {
    const left = spanText(tagTtlMs - ageMs)
    return `The tag is fresh for another ${left}, so it is not revalidated; ${lowerFirst(predictContent(facts))}`
  }
  if (tagRecord.importedAt !== undefined) {
    return `The tag was imported, so a request first asks ${asked} whether it refers to another digest; if none says so, the imported one is served`
  }
  const revalidation = `The tag was last confirmed ${spanText(ageMs)} ago, so a request first asks ${asked} whether it has moved`
  if (state === 'expired') return `${revalidation}; if none answers, the known digest is too old to be served`
  const left = spanText(tagTtlMs + staleIfErrorMs - ageMs)
  return `${revalidation}; if none answers, the known digest is served for another ${left}`
}

function predictContent(facts: RequestFacts): string {
  const { flight, repository, isStored, digest } = facts
  if (isStored) return 'A request is served from the store'
  if (flight !== undefined) {
    const of = flight.size === undefined ? '' : ` of ${sizeText(flight.size)}`
    return `A request joins the transfer in progress, which has ${sizeText(flight.position)}${of}`
  }
  const hosts = sourcesText(facts, repository)
  const lead =
    repository === undefined && digest !== undefined ? `${digest} is not stored` : 'It is not stored'
  const { owner } = facts
  if (owner === undefined) return `${lead}: a request fetches it from ${hosts}`
  if (owner.self) {
    return `${lead}: this node is the owner; unless a peer has it, this node fetches it from ${hosts} for all peers`
  }
  return `${lead}: the owner ${owner.name} names the peer to download it from, or ${hosts} if no peer has it`
}

/** The object store, unless it is known not to have the content, and then the hosts of the registry. */
function sourcesText({ objectStore, ...facts }: RequestFacts, repository: Repository | undefined): string {
  const hosts = repository === undefined ? 'the registry named in the request' : hostsText(facts, repository)
  if (objectStore == null || objectStore.has === false) return hosts
  const { name, problem } = objectStore
  return problem === null ? `${name}, then ${hosts}` : `${name} (${redact(problem)}), then ${hosts}`
}

function hostsText({ view, hosts }: Pick<RequestFacts, 'view' | 'hosts'>, repository: Repository): string {
  const names = view.hosts(repository)
  if (names.length === 0) return 'no host'
  const texts = names.map((host) => {
    const circuit = hosts.get(host)?.circuit
    return circuit?.open === true ? `${host} (circuit open: ${redact(circuit.reason)})` : host
  })
  return texts.join(', then ')
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}
