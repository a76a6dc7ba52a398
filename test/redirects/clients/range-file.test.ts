import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRangeFile } from '../../../src/redirects/clients/range-file.ts'

const AWS = JSON.stringify({
  syncToken: '1',
  prefixes: [
    { ip_prefix: '3.5.140.0/22', region: 'ap-northeast-2', service: 'AMAZON', network_border_group: 'x' },
    { ip_prefix: '52.16.0.0/15', region: 'eu-west-1', service: 'EC2' },
  ],
  ipv6_prefixes: [{ ipv6_prefix: '2a05:d018::/36', region: 'eu-west-1', service: 'EC2' }],
})
const GOOGLE = JSON.stringify({
  syncToken: '1',
  prefixes: [
    { ipv4Prefix: '34.1.208.0/20', service: 'Google Cloud', scope: 'africa-south1' },
    { ipv6Prefix: '2600:1900:4010::/44', service: 'Google Cloud', scope: 'europe-west1' },
  ],
})

function parse(text: string, regions?: readonly string[]) {
  return parseRangeFile(text, { file: '/ranges', regions })
}

test('ip-ranges.json of AWS is read, with its regions', () => {
  const all = parse(AWS)
  assert.ok(all.has('3.5.140.1') && all.has('52.17.0.1') && all.has('2a05:d018::1'))
  const europe = parse(AWS, ['eu-*'])
  assert.deepEqual(
    [europe.has('3.5.140.1'), europe.has('52.17.0.1'), europe.has('2a05:d018::1')],
    [false, true, true],
  )
})

test('cloud.json of Google Cloud is read, with its scopes', () => {
  const all = parse(GOOGLE)
  assert.ok(all.has('34.1.208.1') && all.has('2600:1900:4010::1'))
  const europe = parse(GOOGLE, ['europe-west1'])
  assert.deepEqual([europe.has('34.1.208.1'), europe.has('2600:1900:4010::1')], [false, true])
})

test('a plain list has one network a line, and comments', () => {
  const ranges = parse('# office\n10.0.0.0/8\n\n  fd00::/8 # home\r\n192.0.2.1\n')
  assert.ok(ranges.has('10.1.1.1') && ranges.has('fd00::7') && ranges.has('192.0.2.1'))
})

test('a file from which no network can be taken is a problem', () => {
  const table: readonly [string, readonly string[] | undefined, RegExp][] = [
    ['', undefined, /: \/ranges has no network$/],
    ['{}', undefined, /: \/ranges has no network$/],
    ['{"prefixes": 1}', undefined, /is neither ip-ranges\.json of AWS nor cloud\.json/],
    ['{"prefixes": [', undefined, /is neither ip-ranges\.json/],
    ['10.0.0.0/33', undefined, /has "10\.0\.0\.0\/33", which is no network/],
    ['{"prefixes": [{"ip_prefix": "x", "region": "a"}]}', undefined, /has "x", which is no network/],
    [AWS, ['mars-*'], /has no network in the regions mars-\*/],
    ['10.0.0.0/8', ['eu-*'], /has no network in the regions eu-\*/],
  ]
  for (const [text, regions, message] of table) assert.throws(() => parse(text, regions), message)
})

test('the service tags of Azure are read, by region', () => {
  const azure = JSON.stringify({
    changeNumber: 1,
    cloud: 'Public',
    values: [
      {
        name: 'AzureCloud.westeurope',
        properties: { region: 'westeurope', addressPrefixes: ['13.69.0.0/17', '2603:1020:200::/46'] },
      },
      { name: 'AzureFrontDoor', properties: { region: '', addressPrefixes: ['20.21.37.32/29'] } },
    ],
  })
  const west = parseRangeFile(azure, { file: 'tags.json', regions: ['west*'] })
  assert.ok(west.has('13.69.0.1') && west.has('2603:1020:200::1'))
  assert.ok(!west.has('20.21.37.33'))
  assert.ok(parseRangeFile(azure, { file: 'tags.json', regions: undefined }).has('20.21.37.33'))
  assert.throws(() => parseRangeFile(azure, { file: 'tags.json', regions: ['eastus'] }), /has no network in/)
})
