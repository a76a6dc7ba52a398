import type { OutgoingHttpHeaders } from 'node:http'
import type { Repository } from '../../../oci/names/repository.ts'
import type { HostedRegistry, UploadState } from '../../../ports/hosted.ts'
import { COMMON_HEADERS, type ErrorAnswer } from '../../answer/respond.ts'
import type { SendSlots } from '../../answer/send-slots.ts'
import { rangeUpTo } from './content-range.ts'
import type { PushQuery } from './push-query.ts'

/** What a push needs of the server. */
export interface PushResources {
  readonly hosted: HostedRegistry
  /** The rights to send a body to this agent now. */
  readonly slots: SendSlots
  /** Those for manifests that are large or of unknown size, which are in memory as a whole. */
  readonly largeManifestSlots: SendSlots
  /** How long a client may send nothing of a body. */
  readonly bodyStallMs: number
  readonly mayDelete: boolean
}

/** What a request to a hosted repository means. */
export interface PushTarget {
  readonly repository: Repository
  /** The name in the path, which links to the repository repeat. */
  readonly name: string
  readonly ns: string | undefined
  readonly query: PushQuery
  /** The repository from which a blob is to be mounted. */
  readonly from: Repository | undefined
}

/** A path of the API in the same repository, as the client names it. */
export function linkTo({ name, ns }: PushTarget, path: string): string {
  return `/v2/${name}/${path}${ns ? `?ns=${encodeURIComponent(ns)}` : ''}`
}

export function uploadHeaders(target: PushTarget, { id, position }: UploadState): OutgoingHttpHeaders {
  return {
    ...COMMON_HEADERS,
    Location: linkTo(target, `blobs/uploads/${id}`),
    Range: rangeUpTo(position),
    'Docker-Upload-UUID': id,
  }
}

export const NO_BODY = Buffer.alloc(0)

export const UPLOAD_UNKNOWN: ErrorAnswer = {
  status: 404,
  code: 'BLOB_UPLOAD_UNKNOWN',
  message: 'there is no such upload: begin a new one with POST',
}
