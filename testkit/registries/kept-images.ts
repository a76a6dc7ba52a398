import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import type { Image, ImagePart, Index } from './image.ts'
import { type Files, layoutFiles, partsOf } from './image-folders.ts'

/** Images as other tools keep them in files. `images`: by name and tag. */
type Images = Readonly<Record<string, Image | Index>>

/** The storage of the distribution registry. */
export function dockerRegistryFiles(images: Images): Files {
  const files: Files = new Map()
  const root = 'docker/registry/v2'
  for (const [reference, image] of Object.entries(images)) {
    const { name, tag } = split(reference)
    for (const { digest, bytes } of partsOf(image)) {
      const [algorithm, hex = ''] = digest.split(':')
      files.set(`${root}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`, bytes)
    }
    const folder = `${root}/repositories/${name}/_manifests`
    for (const { digest } of manifestsOf(image)) {
      files.set(`${folder}/revisions/${digest.replace(':', '/')}/link`, Buffer.from(digest))
    }
    files.set(`${folder}/tags/${tag}/current/link`, Buffer.from(image.manifest.digest))
  }
  return files
}

/** The cache of oci-registry. */
export function ociRegistryFiles(images: Images): Files {
  const files: Files = new Map()
  for (const [reference, image] of Object.entries(images)) {
    const { name, tag } = split(reference)
    for (const { digest, bytes } of blobsOf(image)) {
      const [algorithm, hex = ''] = digest.split(':')
      files.set(`blobs/${algorithm}/${hex.slice(0, 2)}/${hex.slice(2)}`, bytes)
    }
    const add = (file: string, { bytes, digest }: ImagePart): void => {
      const media_type = file === tag && 'images' in image ? 'ManifestList' : 'Manifest'
      const json = JSON.stringify({ manifest: [...bytes], media_type, digest })
      files.set(`manifests/${name}/${file}`, Buffer.from(json))
    }
    add(tag, image.manifest)
    for (const manifest of manifestsOf(image)) add(manifest.digest, manifest)
  }
  return files
}

/** The storage of docker-registry-server-proxy for what was pulled through. */
export function registryProxyFiles(images: Images): Files {
  const files: Files = new Map()
  for (const [reference, image] of Object.entries(images)) {
    const { name, tag } = split(reference)
    const folder = `${name}/_repository`
    for (const { digest, bytes } of blobsOf(image)) files.set(`${folder}/blobs/${digest}`, bytes)
    const add = (file: string, { bytes, mediaType }: ImagePart): void => {
      const hash = createHash('sha256').update(bytes).digest('hex')
      files.set(`${folder}/manifests/${file}`, bytes)
      files.set(`${folder}/meta/${file}`, Buffer.from(JSON.stringify({ hash, content_type: mediaType })))
    }
    add(tag, image.manifest)
    for (const manifest of manifestsOf(image)) add(manifest.digest, manifest)
  }
  return files
}

/** What `docker save` writes where Docker keeps images in containerd. */
export function containerdArchiveFiles(images: Images): Files {
  const listed = Object.entries(images).map(([reference, image]) => {
    const [first] = 'images' in image ? image.images : [image]
    const [config, ...layers] = (first?.blobs ?? []).map(({ digest }) => `blobs/${digest.replace(':', '/')}`)
    return { Config: config, RepoTags: [reference], Layers: layers }
  })
  return layoutFiles(images).set('manifest.json', Buffer.from(JSON.stringify(listed)))
}

/** What `docker save` writes up to Engine 24. */
export function classicArchiveFiles(images: Readonly<Record<string, Image>>): Files {
  const files: Files = new Map()
  const listed = Object.entries(images).map(([reference, { blobs }], image) => {
    const [config, ...layers] = blobs
    const Config = `${config?.digest.slice('sha256:'.length)}.json`
    files.set(Config, config?.bytes ?? new Uint8Array())
    const Layers = layers.map(({ bytes }, at) => {
      const name = `${image}-${at}/layer.tar`
      files.set(name, gunzipSync(bytes))
      return name
    })
    return { Config, RepoTags: [reference], Layers }
  })
  return files.set('manifest.json', Buffer.from(JSON.stringify(listed)))
}

function split(reference: string): { readonly name: string; readonly tag: string } {
  const colon = reference.lastIndexOf(':')
  return { name: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}

function manifestsOf(image: Image | Index): readonly ImagePart[] {
  return 'images' in image
    ? [image.manifest, ...image.images.map(({ manifest }) => manifest)]
    : [image.manifest]
}

function blobsOf(image: Image | Index): readonly ImagePart[] {
  return 'images' in image ? image.images.flatMap(({ blobs }) => blobs) : image.blobs
}
