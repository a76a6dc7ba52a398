import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { HoldersReport } from '../../schemas/peer-report.ts'
import type { WhyReport } from '../../schemas/report.ts'
import type { Hosts } from '../records/hosts.ts'
import { scrub } from '../redact.ts'
import { sizeText, spanText } from '../text.ts'
import type { FlightView, NodeView } from './view.ts'

export interface Known {
  readonly view: Pick<NodeView, 'allowed' | 'hosts' | 'tagOwner'>
  readonly hosts: Pick<Hosts, 'get'>
  readonly repository: Repository | undefined
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  readonly tagRecord: WhyReport['tagRecord']
  readonly stored: boolean
  readonly flight: FlightView | undefined
  /** Of the digest, among peers. */
  readonly owner: HoldersReport['owner'] | undefined
}

/** What a request for it would meet now, in one sentence. */
export function foretell(known: Known): string {
  const { repository, tag, view } = known
  if (repository !== undefined && !view.allowed(repository)) {
    return `It would be answered with 404: ${repositoryKey(repository)} is not on the allow list.`
  }
  if (tag !== undefined && repository !== undefined) return `${foretellTag(known, repository, tag)}.`
  return `${foretellContent(known)}.`
}

function foretellTag(known: Known, repository: Repository, tag: string): string {
  const { tagRecord } = known
  const owner = known.view.tagOwner(repository, tag)
  const hosts = whoWouldBeAsked(known, repository)
  const who = owner === undefined || owner.isSelf ? hosts : `${owner.name} for all its peers, then ${hosts}`
  if (tagRecord === null)
    return `The tag is not known here: ${who} would be asked for it and for its manifest`
  const { ageMs, tagTtlMs, staleIfErrorMs, state } = tagRecord
  if (state === 'fresh') {
    const left = spanText(tagTtlMs - ageMs)
    return `The tag is fresh for another ${left}, so nobody is asked about it; ${lower(foretellContent(known))}`
  }
  const asked = `The tag was last confirmed ${spanText(ageMs)} ago, so ${who} would be asked whether it has moved`
  if (state === 'expired') return `${asked}; without an answer it is too old to be served`
  const left = spanText(tagTtlMs + staleIfErrorMs - ageMs)
  return `${asked}; without an answer the known one is served, for another ${left}`
}

function foretellContent(known: Known): string {
  const { flight, repository, stored, digest } = known
  if (stored) return 'It would be served from the store'
  if (flight !== undefined) {
    const of = flight.size === undefined ? '' : ` of ${sizeText(flight.size)}`
    return `It would join the transfer under way, which has ${sizeText(flight.position)}${of}`
  }
  const hosts =
    repository === undefined
      ? 'the registry of the repository in the request'
      : whoWouldBeAsked(known, repository)
  const lead = repository === undefined ? `${digest ?? 'It'} is not here` : 'It is not here'
  const { owner } = known
  if (owner === undefined) return `${lead}: ${hosts} would be asked for it`
  if (owner.self) {
    return `${lead}: this node owns it among its peers, so unless one of them has it ${hosts} would be asked for it, by this node for all`
  }
  return `${lead}: ${owner.name}, which owns it among the peers, would be asked whom to take it from, and ${hosts} only if there is nobody`
}

function whoWouldBeAsked({ view, hosts }: Known, repository: Repository): string {
  const names = view.hosts(repository)
  if (names.length === 0) return 'nobody'
  const told = names.map((host) => {
    const circuit = hosts.get(host)?.circuit
    return circuit?.open === true ? `${host} (left alone at the moment: ${scrub(circuit.reason)})` : host
  })
  return told.join(', then ')
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}
