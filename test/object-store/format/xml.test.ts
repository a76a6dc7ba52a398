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

test('names that begin alike are other elements, and an element without an end ends the search', () => {
  assert.deepEqual(elementsOf('<Keys>a</Keys><Key/><Key\n>b</Key><Key>c', 'Key'), ['b'])
  assert.deepEqual(elementsOf('<Key', 'Key'), [])
  assert.equal(textOf('<A>first</A><A>second</A>', 'A'), 'first')
})

test('a long answer of elements without an end is read in one pass', () => {
  // A search for the end from each of these begins would take hours.
  const xml = '<Code>'.repeat(1_400_000)
  assert.equal(textOf(xml, 'Code'), undefined)
  assert.deepEqual(elementsOf(xml, 'Code'), [])
})
