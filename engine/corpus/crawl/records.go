package crawl

import "forja/engine/corpus/warc"

// archived makes the records of a page: whole, or as a reference to where the same payload stands. It sets the outcome.
func (w *worker) archived(d *done, r *response, before seenBefore) []byte {
	if len(r.body) >= minRevisit && r.truncated == "" {
		url, date, ok := w.store.first(d.digest)
		if !ok && before.digest == d.digest {
			url, date, ok = before.url, before.date, true
		}
		if ok {
			d.outcome = outcomeRevisit
			revisit := warc.Revisit(r.date, r.url.String(), warc.ProfileSamePayload, url, date, d.digest, r.head())
			return w.encode(&revisit, r)
		}
	}
	d.outcome = outcomeStored
	return w.encode(&warc.Draft{Type: warc.TypeResponse, Date: r.date, URI: r.url.String(), ContentType: "application/http;msgtype=response",
		Truncated: r.truncated, Head: r.head(), Block: r.body, Payload: d.digest}, r)
}

// encode makes the bytes of a record and of the request that led to it. They are valid until the next call.
func (w *worker) encode(d *warc.Draft, r *response) []byte {
	if r.address.IsValid() {
		d.Extra = append(d.Extra, warc.Field{Name: "WARC-IP-Address", Value: r.address.String()})
	}
	if r.http2 {
		d.Extra = append(d.Extra, warc.Field{Name: "WARC-Protocol", Value: "h2"})
	}
	request := warc.Draft{Type: warc.TypeRequest, Date: r.date, URI: d.URI, ContentType: "application/http;msgtype=request",
		Extra: warc.Header{{Name: "WARC-Concurrent-To", Value: "<" + d.Identify() + ">"}}, Block: r.request()}
	records := w.encoder.Append(w.encoder.Append(w.records[:0], d), &request)
	if cap(records) <= 2*maxSmall {
		w.records = records
	}
	return records
}

// unchanged ends a page that is as it was in an earlier crawl, whose links were taken in at the start.
func (w *worker) unchanged(j job, d done, l link, r *response, before seenBefore, sent report) {
	revisit := warc.Revisit(r.date, l.url, warc.ProfileNotModified, before.url, before.date, before.digest, r.head())
	d.outcome, d.digest, d.validators = outcomeUnchanged, before.digest, before.validators
	d.date = before.date // when the copy was made that stands in an archive
	w.end(j, d, w.encode(&revisit, r), nil, sent)
}
