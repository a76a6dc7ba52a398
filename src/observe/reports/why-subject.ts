import type { Parsed } from '../../lib/parsed.ts'
import { parseReference } from '../../oci/names/reference.ts'
import { resolveSubject, type Subject } from './subject.ts'
import type { NodeView } from './view.ts'

/** Stands for a registry that a text leaves out. */
const NO_REGISTRY = 'left-out.invalid'

/**
 * Resolves what a person asks about. More generous than `resolveSubject`, because nothing is changed: the first digits of a
 * digest need no `sha256:`, and a name without a registry means the only cached image of that name.
 */
export async function whySubject(view: NodeView, text: string): Promise<Parsed<Subject>> {
  if (/^[0-9a-f]{6,64}$/.test(text)) {
    // A name of an image may look like this, too.
    const digits = await resolveSubject(view, `sha256:${text}`, view.defaultNamespace)
    if (digits.ok) return digits
  }
  const subject = await resolveSubject(view, text, view.defaultNamespace)
  if (!subject.ok) return subject
  const { repository, tag } = subject.value
  if (repository === undefined || tag === undefined) return subject
  if ((await view.tag(repository, tag)) !== undefined) return subject
  const written = parseReference(text, NO_REGISTRY)
  if (!written.ok || written.value.repository.registry !== NO_REGISTRY) return subject
  const cached: Subject[] = []
  for await (const known of view.tags()) {
    if (known.tag !== tag || known.repository.name !== written.value.repository.name) continue
    cached.push({ repository: known.repository, tag, digest: undefined })
  }
  const [only] = cached
  return only !== undefined && cached.length === 1 ? { ok: true, value: only } : subject
}
