//! What was known of a history at a moment: what a doctor would have seen then, and nothing that came later.

use ambidex_core::time::Span;

use super::{At, BLOCK, Block, History, Map, Series, Traffic};

impl History {
    /// Its figures of so much time before a moment, by whole windows, and what was counted of requests in hours that were over, of so
    /// much time. Nodes of which nothing was known then are not there.
    #[must_use]
    pub fn past(&self, at: At, figures: Span, requests: Span) -> Self {
        let step = i64::from(self.step) * 1_000;
        let end = at.0.div_euclid(step);
        let millis = |span: Span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let windows = at.0.saturating_sub(millis(figures)).div_euclid(step)..end;
        let cut: Vec<(_, Vec<Series>)> = (self.series.iter())
            .map(|(metric, all)| (metric, all.iter().map(|series| series.cut(&windows)).collect()))
            .collect();
        let there = |node: usize| cut.iter().any(|(_, all)| all.get(node).is_some_and(|series| !series.is_empty()));
        let kept: Vec<usize> = (0..self.nodes.len()).filter(|node| there(*node)).collect();
        let of = |all: Vec<Series>| {
            let mut all: Vec<Option<Series>> = all.into_iter().map(Some).collect();
            kept.iter().map(|node| all.get_mut(*node).and_then(Option::take).unwrap_or_default()).collect::<Vec<_>>()
        };
        let series = cut.into_iter().map(|(metric, all)| (metric.clone(), of(all)));
        let series = series.filter(|(_, all)| all.iter().any(|series| !series.is_empty())).collect();
        Self {
            source: self.source.clone(),
            span: self.span.and_then(|(first, last)| {
                let (begin, end) = (first.max(At(windows.start * step)), last.min(At(end * step)));
                (begin < end).then_some((begin, end))
            }),
            nodes: kept.iter().map(|node| self.nodes[*node].clone()).collect(),
            series,
            traffic: self.traffic_past(At(end * step), millis(requests), &kept),
            happenings: self.happenings.iter().filter(|one| one.at < at).cloned().collect(),
            remarks: Vec::new(),
            ..*self
        }
    }

    fn traffic_past(&self, end: At, reach: i64, kept: &[usize]) -> Traffic {
        let length = i64::from(self.base) * BLOCK * 1_000;
        let blocks = end.0.saturating_sub(reach).div_euclid(length)..end.0.div_euclid(length);
        let number = |(to, from): (usize, &usize)| Some((u32::try_from(*from).ok()?, u32::try_from(to).ok()?));
        let numbers: Map<u32, u32> = kept.iter().enumerate().filter_map(number).collect();
        let block = |block: &Block| Block {
            cells: (block.cells.iter())
                .filter_map(|((route, node), cell)| Some(((*route, *numbers.get(node)?), *cell)))
                .collect(),
            latency: (block.latency.iter())
                .filter_map(|(node, latency)| Some((*numbers.get(node)?, latency.clone())))
                .collect(),
            values: (block.values.iter())
                .filter_map(|((name, node), heavy)| Some(((*name, *numbers.get(node)?), heavy.clone())))
                .collect(),
            calls: block.calls.clone().renamed(|route| route, |node| numbers.get(&node).copied()),
        };
        Traffic {
            routes: self.traffic.routes.clone(),
            attributes: self.traffic.attributes.clone(),
            blocks: self.traffic.blocks.range(blocks).map(|(at, one)| (*at, block(one))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Bounds, Metric, Peers, Recorder, Requests, Weigh};

    const HOUR: i64 = 3_600_000;

    #[test]
    fn nothing_is_known_of_what_came_later() {
        let mut recorder = Recorder::new(Bounds::default(), Weigh::Time);
        let nodes =
            ["late", "early", "both"].map(|name| recorder.node(name, &Peers::default()).expect("there is room"));
        for minute in 0..360 {
            let at = At(minute * 60_000);
            let there = [minute >= 180, minute < 60, true];
            for (node, _) in nodes.iter().zip(there).filter(|(_, there)| *there) {
                recorder.sample(*node, &Metric::Cpu, at, minute as f64);
                let (busy, node) = (Some(Span::from_millis(1)), *node);
                recorder.requests(&Requests { at, node, route: "GET /", count: 1, failed: 0, busy, values: &[] });
            }
        }
        let history = recorder.finish("test".into());
        // Ten minutes and a bit after the third hour.
        let past = history.past(At(3 * HOUR + 620_000), Span::from_secs(7_200), Span::from_secs(7_200));
        let names: Vec<&str> = past.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["late", "both"]);
        assert_eq!(past.span, Some((At(HOUR + 600_000), At(3 * HOUR + 600_000))));
        assert_eq!(past.whole_windows(), 14..38);
        let (cpu, all) = (&past.series[&Metric::Cpu], |at: usize| history.figure(&Metric::Cpu, 2, at as i64));
        assert_eq!((cpu[1].at(13), cpu[1].at(14), cpu[1].at(37), cpu[1].at(38)), (None, all(14), all(37), None));
        // The fourth hour was not over.
        let blocks: Vec<_> = past.traffic.blocks.iter().map(|(at, block)| (*at, block.cells.len())).collect();
        assert_eq!(blocks, [(1, 1), (2, 1)]);
        assert!(past.traffic.blocks[&2].cells.contains_key(&(0, 1)), "{:?}", past.traffic.blocks[&2].cells);
        assert!(history.past(At(0), Span::from_secs(60), Span::ZERO).span.is_none());
    }
}
