/** What a kind of source is called in records and reports. */
export function sourceKey<Source extends string>(
  source: Source,
): Exclude<Source, 'object-store'> | 'objectStore' {
  return source === 'object-store' ? 'objectStore' : (source as Exclude<Source, 'object-store'>)
}
