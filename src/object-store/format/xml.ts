const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/**
 * The elements of the flat XML that S3 sends: an element never contains another one of its own name. Gives the inner text
 * of each, unread.
 */
export function elementsOf(xml: string, name: string): readonly string[] {
  const pattern = new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g')
  return [...xml.matchAll(pattern)].map(([, inner = '']) => inner)
}

/** The text of the first element with this name. */
export function textOf(xml: string, name: string): string | undefined {
  const [inner] = elementsOf(xml, name)
  return inner === undefined ? undefined : unescapeXml(inner)
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,4}));/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? all
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : all
  })
}

export function escapeXml(text: string): string {
  return text.replace(/[<>&"]/g, (character) => {
    const [name = ''] = Object.entries(ENTITIES).find(([, value]) => value === character) ?? []
    return `&${name};`
  })
}
