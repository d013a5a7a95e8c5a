package extract

import "golang.org/x/net/html/atom"

// lede lists the blocks of running text between the page's heading and the content: the introduction, which many pages keep
// beside their article's body.
func (p *page) lede(root int32) (blocks []int32) {
	heading := int32(-1)
	for i := p.body + 1; i < root; i++ {
		if p.nodes[i].tag == atom.H1 && p.chars[i] > 0 {
			heading = i
		}
	}
	if heading < 0 {
		return nil
	}
	for i := p.nodes[heading].end; i < root; i++ {
		x := &p.nodes[i]
		if p.out[i] || x.tag == atom.Figure || x.tag == atom.Figcaption || x.end <= root && p.hint[i]&(hintAuthor|hintDate|hintProfile|hintCaption) != 0 {
			i = x.end - 1
			continue
		}
		if x.isText() || x.end > root || !isBlock[x.tag] || p.prose[i]*5 < p.chars[i]*4 || p.linkShare(i) > 0.3 {
			continue
		}
		if p.prose[i] > 0 {
			blocks = append(blocks, i)
			i = x.end - 1
		}
	}
	return blocks
}
