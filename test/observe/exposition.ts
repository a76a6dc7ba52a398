import assert from 'node:assert/strict'

export interface Family {
  readonly type: string
  readonly help: string
  /** By the name of the sample with its labels as written. */
  readonly samples: Map<string, number>
}

const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

/** Parses the Prometheus text format, version 0.0.4, and fails on everything that a strict scraper would refuse. */
export function parseExposition(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line ends')
  const families = new Map<string, Family>()
  let current: [string, Family] | undefined
  let help: [string, string] | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const helped = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    const typed = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/.exec(line)
    if (helped?.[1] !== undefined && helped[2] !== undefined) {
      assert.ok(help === undefined, `HELP without TYPE before: ${line}`)
      help = [helped[1], helped[2]]
    } else if (typed?.[1] !== undefined && typed[2] !== undefined) {
      const [, name, type] = typed
      assert.equal(help?.[0], name, `TYPE follows its HELP: ${line}`)
      assert.ok(!families.has(name), `${name} comes once`)
      assert.ok(type !== 'counter' || name.endsWith('_total'), `${name} is a counter and says so`)
      current = [name, { type, help: help?.[1] ?? '', samples: new Map() }]
      families.set(...current)
      help = undefined
    } else {
      const sample = SAMPLE.exec(line)
      assert.ok(sample !== null, `a sample: ${JSON.stringify(line)}`)
      const [, name = '', labels = '', value = ''] = sample
      assert.match(value, NUMBER, line)
      assert.ok(!labels.endsWith(','), line)
      assert.ok(current !== undefined, line)
      const [family, { type, samples }] = current
      const names = type === 'histogram' ? [`${family}_bucket`, `${family}_sum`, `${family}_count`] : [family]
      assert.ok(names.includes(name), `${name} belongs to ${family}`)
      const key = labels === '' ? name : `${name}{${labels}}`
      assert.ok(!samples.has(key), `${key} comes once`)
      const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)
      assert.ok(type !== 'counter' || number >= 0, line)
      samples.set(key, number)
    }
  }
  assert.ok(help === undefined, 'HELP without TYPE at the end')
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family)
  return families
}

function checkHistogram(name: string, { samples }: Family): void {
  const last = new Map<string, number>()
  for (const [key, value] of samples) {
    const bucket = /^(.*)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key)
    if (bucket === null) continue
    const labels = bucket[2] ?? ''
    assert.ok(value >= (last.get(labels) ?? 0), `${key} holds those below it`)
    last.set(labels, value)
    if (bucket[3] === '+Inf') {
      assert.equal(samples.get(labels === '' ? `${name}_count` : `${name}_count{${labels}}`), value, key)
    }
  }
}
