import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseQuery } from '../../../src/registry-api/endpoints/query.ts'
import { fc } from '../../../testkit/property-runs.ts'

const NO_PARAMETERS = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }

test('the known parameters are parsed, and of repeated ones the first counts', () => {
  assert.deepEqual(parseQuery(''), NO_PARAMETERS)
  assert.deepEqual(parseQuery('ns=docker.io'), { ...NO_PARAMETERS, ns: 'docker.io' })
  assert.deepEqual(parseQuery('ns=localhost%3A5000&ns=other'), { ...NO_PARAMETERS, ns: 'localhost:5000' })
  assert.deepEqual(parseQuery('x=1&n=5&last=a=b&&'), { ...NO_PARAMETERS, n: '5', last: 'a=b' })
  assert.deepEqual(parseQuery('artifactType=a%2Fb%2Bc+d'), { ...NO_PARAMETERS, artifactType: 'a/b+c d' })
  assert.deepEqual(parseQuery('n'), { ...NO_PARAMETERS, n: '' })
  assert.deepEqual(parseQuery('last=%zz'), { ...NO_PARAMETERS, last: '%zz' })
  assert.deepEqual(parseQuery('__proto__=1&constructor=2'), NO_PARAMETERS)
})

test('parseQuery reads what URLSearchParams writes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (ns, last) => {
      const wellFormed = new URLSearchParams({ ns, last })
      assert.equal(parseQuery(wellFormed.toString()).ns, wellFormed.get('ns'))
      assert.equal(parseQuery(wellFormed.toString()).last, wellFormed.get('last'))
    }),
  )
})
