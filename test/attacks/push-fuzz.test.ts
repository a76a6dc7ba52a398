import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../testkit/memory/digests.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import {
  beginUpload,
  PROTOCOLS,
  pushImage,
  sampleImage,
  startHostedServer,
} from '../registry-api/hosted-server.ts'
import { errorCodeOf, requestHttp1 } from '../registry-api/test-server.ts'

const image = sampleImage()
const digest = digestOf(image.manifest)
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

/** A text that a client may put into a path or a query. */
const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('..', '', '%', '%zz', '%00', 'team/app', 'v1', digest, `${digest}0`, 'sha512:00', '0-0'),
)
const part = text.map((one) => encodeURIComponent(one))
const name = fc.oneof(fc.constantFrom('team/app', 'team/other', 'alpine', 'localhost/team/app'), part)
const key = fc.constantFrom('digest', 'mount', 'from', 'tag', 'ns', 'digest-algorithm', 'n', 'last')
const query = fc
  .array(fc.tuple(key, part), { maxLength: 3 })
  .map((pairs) => pairs.map(([one, value]) => `${one}=${value}`).join('&'))
const headerText = fc.stringMatching(/^[\x21-\x7e]{0,30}$/)
const headers = fc.record(
  {
    'content-range': fc.oneof(
      headerText,
      fc.constantFrom('0-0', '0-4', 'bytes 0-4/5', '5-0', '0-999999999999999'),
    ),
    'content-type': fc.oneof(headerText, fc.constant(MANIFEST_TYPE)),
    'if-match': headerText,
    authorization: headerText,
  },
  { requiredKeys: [] },
)
const json = fc.oneof(
  fc.json().map((one) => Buffer.from(one)),
  fc
    .dictionary(
      fc.constantFrom('schemaVersion', 'mediaType', 'config', 'layers', 'manifests', 'subject'),
      fc.jsonValue(),
    )
    .map((one) => Buffer.from(JSON.stringify({ ...JSON.parse(image.manifest.toString()), ...one }))),
)
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  json,
  fc.constantFrom(image.manifest, image.layer, Buffer.alloc(0)),
)
const method = fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'HEAD')
const pathKind = fc.constantFrom('blobs/uploads/', 'UPLOAD', 'manifests/', 'blobs/', 'referrers/', 'tags/')

for (const [protocol, send] of PROTOCOLS) {
  test(`any push over ${protocol} gets an answer, and every error is one of the registry API`, async (t) => {
    const { port } = await startHostedServer(t)
    await pushImage(port, 'team/app', 'v1', image)
    let location = await beginUpload(port, 'team/app')
    const request = fc.record({ method, name, pathKind, reference: part, query, headers, body })
    await fc.assert(
      fc.asyncProperty(request, async (one) => {
        const path = one.pathKind === 'UPLOAD' ? location : `/v2/${one.name}/${one.pathKind}${one.reference}`
        const hasBody = one.method !== 'GET' && one.method !== 'HEAD'
        const answer = await send(port, `${path}?${one.query}`, {
          method: one.method,
          headers: one.headers,
          ...(hasBody ? { body: one.body } : {}),
        })
        assert.ok(answer.status >= 200 && answer.status < 500, `${answer.status} ${answer.body}`)
        if (answer.status >= 400 && one.method !== 'HEAD') errorCodeOf(answer)
        if (one.pathKind === 'UPLOAD' && (await requestHttp1(port, location)).status === 404)
          location = await beginUpload(port, 'team/app')
      }),
      runs(200),
    )
    // The repository is as it can be used, whatever was sent.
    assert.equal((await pushImage(port, 'team/app', 'v1', image, send)).status, 201)
  })
}
