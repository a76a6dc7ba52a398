const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/**
 * The elements of the flat XML that S3 sends: an element never contains another one of its own name. Gives the inner text
 * of each, unread.
 */
export function elementsOf(xml: string, name: string): readonly string[] {
  return [...elements(xml, name)]
}

/** The text of the first element with this name. */
export function textOf(xml: string, name: string): string | undefined {
  const { value: inner } = elements(xml, name).next()
  return inner === undefined ? undefined : unescapeXml(inner)
}

/** Each character is looked at a bounded number of times, because the server chooses the text: an element without an end ends it. */
function* elements(xml: string, name: string): Generator<string, undefined> {
  const endTag = `</${name}>`
  let from = 0
  for (;;) {
    const start = xml.indexOf(`<${name}`, from)
    if (start === -1) return
    from = start + name.length + 1
    if (!/^[\s>]/.test(xml.charAt(from))) continue
    const inner = xml.indexOf('>', from) + 1
    const end = inner === 0 ? -1 : xml.indexOf(endTag, inner)
    if (end === -1) return
    yield xml.slice(inner, end)
    from = end + endTag.length
  }
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
