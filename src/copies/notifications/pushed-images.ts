import * as v from 'valibot'
import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'

const MOST_IMAGES = 1000
const text = v.pipe(v.string(), v.maxLength(1000))
const list = <Item extends v.GenericSchema>(item: Item) => v.pipe(v.array(item), v.maxLength(MOST_IMAGES))

/** `{"images": ["ghcr.io/acme/app:v1"]}`, for everything that can send JSON. */
const Plain = v.object({ images: list(text) })

/** https://distribution.github.io/distribution/about/notifications/ */
const Distribution = v.object({
  events: list(
    v.object({
      action: text,
      target: v.object({ repository: v.optional(text), tag: v.optional(text), digest: v.optional(text) }),
      request: v.optional(v.object({ host: v.optional(text) })),
    }),
  ),
})

/** https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/ */
const Harbor = v.object({
  type: text,
  event_data: v.object({
    resources: list(v.object({ resource_url: text, digest: v.optional(text) })),
  }),
})

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package, and the older `package`. */
const Version = v.object({
  package_url: text,
  container_metadata: v.optional(
    v.nullable(v.object({ tag: v.optional(v.object({ name: v.optional(text), digest: v.optional(text) })) })),
  ),
})
const Package = v.object({ package_version: v.nullish(Version) })
const GitHub = v.object({
  action: text,
  registry_package: v.optional(Package),
  package: v.optional(Package),
})

/**
 * The images with a tag that a notification says were pushed. Each names its registry, and its digest if the notification does.
 * Empty: it says nothing of the kind.
 */
export function pushedImages(json: unknown): Parsed<readonly Reference[]> {
  const plain = v.safeParse(Plain, json)
  if (plain.success) return named(plain.output.images)
  const distribution = v.safeParse(Distribution, json)
  if (distribution.success) return named(distribution.output.events.flatMap(ofDistribution))
  const harbor = v.safeParse(Harbor, json)
  if (harbor.success) return named(ofHarbor(harbor.output))
  const github = v.safeParse(GitHub, json)
  if (github.success) return named(ofGitHub(github.output))
  return refused(
    'the body is no notification of a registry; send that of distribution, Harbor or GitHub packages, or {"images": ["ghcr.io/acme/app:v1"]}',
  )
}

function ofDistribution({
  action,
  target: { repository, tag, digest },
  request,
}: v.InferOutput<typeof Distribution>['events'][number]): string[] {
  const host = request?.host
  if (action !== 'push' || tag === undefined || tag === '' || repository === undefined || host === undefined)
    return []
  return [withDigest(`${host}/${repository}:${tag}`, digest)]
}

function ofHarbor({ type, event_data }: v.InferOutput<typeof Harbor>): string[] {
  if (type !== 'PUSH_ARTIFACT') return []
  return event_data.resources
    .filter(({ resource_url }) => !resource_url.includes('@'))
    .map(({ resource_url, digest }) => withDigest(resource_url, digest))
}

function ofGitHub({ action, registry_package, package: older }: v.InferOutput<typeof GitHub>): string[] {
  const version = (registry_package ?? older)?.package_version
  const { name, digest } = version?.container_metadata?.tag ?? {}
  if (action !== 'published' || !version || name === undefined || name === '') return []
  // The URL ends with the tag, or with nothing; owners may have capitals, and names of images have none.
  const [, image = ''] = /^([^\s:]+)(?::[^/]*)?$/.exec(version.package_url) ?? []
  return [withDigest(`${image.toLowerCase()}:${name}`, digest)]
}

function withDigest(image: string, digest: string | undefined): string {
  return digest === undefined || digest === '' ? image : `${image}@${digest}`
}

function named(images: readonly string[]): Parsed<readonly Reference[]> {
  const references: Reference[] = []
  for (const image of images) {
    const reference = parseReference(image)
    if (!reference.ok) return refused(`the notification names no image: ${reference.problem}`)
    references.push(reference.value)
  }
  return parsed(references)
}
