/** What a person sees who opens the admin address in a browser. */
export const ADMIN_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Leat</title>
<h1>Leat</h1>
<p>This is the admin address of a node agent for container images.</p>
<ul>
<li><a href="/api/v1/status">/api/v1/status</a>: how it is doing (<code>agent status</code>)
<li><a href="/api/v1/images">/api/v1/images</a>: which images it has (<code>agent ls</code>)
<li><a href="/api/v1/blobs">/api/v1/blobs</a>: which blobs and manifests it has (<code>agent ls --blobs</code>)
<li>/api/v1/why?subject=REF-or-DIGEST: where something is and where it came from (<code>agent why</code>)
<li>POST /api/v1/gc, POST /api/v1/verify, POST and DELETE /api/v1/pins, DELETE /api/v1/images: what
<code>agent gc</code>, <code>verify</code>, <code>pin</code>, <code>unpin</code> and <code>rm</code> ask for, in JSON
<li>POST /api/v1/warm: images that are to be here before anybody pulls them (<code>agent warm</code>)
<li><a href="/metrics">/metrics</a>: for Prometheus
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>,
<a href="/readyz?warm=1">/readyz?warm=1</a>: for whoever watches over it
</ul>
</html>
`
