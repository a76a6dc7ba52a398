import { parseDigest } from '../../src/oci/digest.ts'
import { cloudEventBody } from '../../src/webhooks/cloud-event.ts'
import type { ImageEvent } from '../../src/webhooks/image-event.ts'
import type { ImageEventKind } from '../../src/webhooks/options.ts'
import { apiShapes } from '../../testkit/schemas/api/shapes.ts'
import { alternativesOf, fieldRows } from './field-rows.ts'
import { code, page, plain, table } from './markdown.ts'

/** When each event is sent; a kind without a sentence is a mistake of types. */
const KINDS: Readonly<Record<ImageEventKind, string>> = {
  pull: 'A client has received a whole manifest.',
  push: 'A pushed manifest is stored in a hosted repository; one event for each tag.',
  delete: 'A tag, a manifest or a blob was removed from a hosted repository.',
  'first-use': 'A manifest is pulled for the first time on this node since it was stored.',
}

/** The page on what the agent tells as it happens: to followers of the admin API, and to webhooks. */
export function eventsPage(): string {
  const lines = apiShapes().get('events.line')
  if (lines === undefined) throw new TypeError('the lines of /api/v1/events have no schema')
  return page(
    'Events',
    '## Followed events',
    '`agent events --json` and `GET /api/v1/events` give a line of JSON for each of these, told apart by `is`. The schema is [api.events.line.json](../schemas/api.events.line.json).',
    ...alternativesOf(lines).flatMap(([is, schema]) => [
      `### ${is}`,
      plain(String(schema['description'] ?? '')),
      table(['field', 'type', ''], fieldRows(schema)),
    ]),
    '## Webhooks',
    '[Webhooks](../events.md) get these as CloudEvents 1.0. Unknown values are null.',
    ...(Object.entries(KINDS) as [ImageEventKind, string][]).flatMap(([kind, when]) => [
      `### ${kind}`,
      when,
      `${code(typeOf(kind))}:`,
      `\`\`\`json\n${exampleOf(kind)}\n\`\`\``,
    ]),
  )
}

function exampleOf(kind: ImageEventKind): string {
  return JSON.stringify(JSON.parse(bodyOf(kind)), null, 2)
}

function typeOf(kind: ImageEventKind): string {
  return String(JSON.parse(bodyOf(kind)).type)
}

function bodyOf(kind: ImageEventKind): string {
  const isHosted = kind === 'push' || kind === 'delete'
  const digest = parseDigest(`sha256:${'ab'.repeat(32)}`)
  const event: ImageEvent = {
    id: '5c1d6b0e-6a52-4a8e-a0a9-0d4b7a2f7f43',
    kind,
    at: Date.UTC(2026, 2, 1, 10),
    repository: isHosted
      ? { registry: 'registry.corp', name: 'team/app' }
      : { registry: 'docker.io', name: 'library/alpine' },
    removed: kind === 'delete' ? 'tag' : undefined,
    tag: isHosted ? 'v1' : '3',
    digest,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    size: 9218,
    client: 'loopback',
  }
  return cloudEventBody(event, 'node-7')
}
