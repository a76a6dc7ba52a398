import type { ImageReport } from '../../schemas/content-report.ts'

/** What `--filter` accepts. */
export const IMAGE_FILTERS: Readonly<Record<string, (image: ImageReport) => boolean>> = {
  whole: ({ state }) => state === 'whole',
  partial: ({ state }) => state === 'partial',
  pinned: ({ pinned }) => pinned,
  unpinned: ({ pinned }) => !pinned,
  hosted: ({ hosted }) => hosted === true,
  cached: ({ hosted }) => hosted !== true,
}

/**
 * Whether an image is meant by one of the patterns, or there are none. In a pattern `*` matches any text without a slash,
 * `**` any text. The registry, `library/` and the tag may be left out.
 */
export function imageMatcher(patterns: readonly string[]): (image: ImageReport) => boolean {
  if (patterns.length === 0) return () => true
  const compiled = patterns.map(globExpression)
  return (image) => {
    const names = namesOf(image)
    return compiled.some((expression) => names.some((name) => expression.test(name)))
  }
}

function namesOf({ repository, tag }: ImageReport): readonly string[] {
  const path = repository.slice(repository.indexOf('/') + 1)
  const names = [repository, path, ...(path.startsWith('library/') ? [path.slice('library/'.length)] : [])]
  return names.flatMap((name) => [name, `${name}:${tag}`])
}

function globExpression(pattern: string): RegExp {
  const source = pattern
    .split(/(\*+)/)
    .map((part) =>
      part === '*' ? '[^/]*' : part.startsWith('*') ? '.*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('')
  return new RegExp(`^${source}$`)
}

/** Fills `{field}` of a template with the fields of an item; gives the first unknown field instead. */
export function fillTemplate(
  template: string,
  item: Readonly<Record<string, unknown>>,
): { readonly text: string } | { readonly unknown: string } {
  let unknown: string | undefined
  const text = template.replace(/\{(\w+)\}/g, (_, field: string) => {
    if (!Object.hasOwn(item, field)) unknown ??= field
    const value = item[field]
    if (Array.isArray(value)) return value.join(',')
    return value === null || value === undefined ? '' : String(value)
  })
  return unknown === undefined ? { text } : { unknown }
}
