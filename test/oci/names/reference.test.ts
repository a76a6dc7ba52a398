import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference, referenceText } from '../../../src/oci/names/reference.ts'
import { fc } from '../../../testkit/property-runs.ts'

const SHA256 = `sha256:${'a'.repeat(64)}`

function readBack(text: string): string {
  const found = parseReference(text)
  return found.ok ? referenceText(found.value) : `refused: ${found.problem}`
}

test('references are parsed as docker pull parses them', () => {
  const table: [text: string, means: string][] = [
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['acme/app', 'docker.io/acme/app:latest'],
    ['docker.io/library/alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['localhost:5000/a/b', 'localhost:5000/a/b:latest'],
    [`localhost:5000/a/b@${SHA256}`, `localhost:5000/a/b@${SHA256}`],
    [`ghcr.io/acme/app:v1@${SHA256}`, `ghcr.io/acme/app:v1@${SHA256}`],
    ['localhost/app', 'localhost/app:latest'],
  ]
  for (const [text, means] of table) assert.equal(readBack(text), means, text)
})

test('an invalid reference is refused with a message about its invalid part', () => {
  const table: [text: string, problem: RegExp][] = [
    ['', /not an image name/],
    ['Alpine', /not an image name/],
    ['alpine:', /not a tag/],
    ['alpine:.x', /not a tag/],
    ['alpine@sha256:abc', /no valid digest/],
    ['alpine@', /no valid digest/],
    ['localhost:99999/a', /not a registry/],
    ['ghcr.io/', /not an image name/],
    ['http://ghcr.io/a', /not a registry|not an image name/],
    [`ghcr.io/${'a'.repeat(255)}`, /too long/],
  ]
  for (const [text, problem] of table) assert.match(readBack(text), problem, text)
})

test('a reference that is written is parsed back', () => {
  const name = fc.stringMatching(/^[a-z0-9]{1,8}(\/[a-z0-9]{1,8}){0,2}$/)
  const host = fc.constantFrom('', 'ghcr.io/', 'localhost:5000/')
  const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), { nil: undefined })
  fc.assert(
    fc.property(host, name, tag, fc.boolean(), (at, image, named, withDigest) => {
      const text = `${at}${image}${named === undefined ? '' : `:${named}`}${withDigest ? `@${SHA256}` : ''}`
      const once = readBack(text)
      assert.doesNotMatch(once, /^refused/)
      assert.equal(readBack(once), once)
    }),
  )
})

test('parsing never throws, whatever the text', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseReference(text)))
})
