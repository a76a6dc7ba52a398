import assert from 'node:assert/strict'
import { test } from 'node:test'
import { elementsOf, escapeXml, textOf } from '../../../src/object-store/format/xml.ts'

test('elements are found by their name, with and without attributes', () => {
  const xml =
    '<?xml version="1.0"?><List xmlns="http://s3"><Key a="1">one</Key><KeyMarker>x</KeyMarker><Key>two</Key></List>'
  assert.deepEqual(elementsOf(xml, 'Key'), ['one', 'two'])
  assert.equal(textOf(xml, 'None'), undefined)
})

test('entities are read and written', () => {
  assert.equal(textOf('<A>&lt;&quot;&#65;&#x42;&amp;&none;</A>', 'A'), '<"AB&&none;')
  assert.equal(textOf(`<A>${escapeXml('<"a&b">')}</A>`, 'A'), '<"a&b">')
})
