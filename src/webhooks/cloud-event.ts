import { repositoryKey } from '../oci/names/repository.ts'
import type { ImageEvent } from './image-event.ts'
import type { ImageEventKind } from './options.ts'

const TYPES: Readonly<Record<ImageEventKind, string>> = {
  pull: 'dev.leat.image.pulled',
  push: 'dev.leat.image.pushed',
  delete: 'dev.leat.image.deleted',
  'first-use': 'dev.leat.image.first-used',
}

export const CLOUD_EVENT_MEDIA_TYPE = 'application/cloudevents+json; charset=utf-8'

/** Writes an image event as CloudEvents 1.0, JSON format, structured mode. An unknown value is null. */
export function cloudEventBody(event: ImageEvent, node: string): string {
  const { id, kind, at, removed, tag, digest, mediaType, size, client } = event
  const repository = repositoryKey(event.repository)
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: `leat://${node}`,
    type: TYPES[kind],
    subject: subjectOf(repository, tag, digest),
    time: new Date(at).toISOString(),
    datacontenttype: 'application/json',
    data: {
      repository,
      tag: tag ?? null,
      digest: digest ?? null,
      mediaType: mediaType ?? null,
      size: size ?? null,
      client: client ?? null,
      ...(removed === undefined ? {} : { removed }),
    },
  })
}

function subjectOf(repository: string, tag: string | undefined, digest: string | undefined): string {
  if (tag !== undefined) return `${repository}:${tag}`
  return digest === undefined ? repository : `${repository}@${digest}`
}
