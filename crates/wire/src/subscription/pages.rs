//! A picture of many workers goes in pages, so that a coordinator that begins anew never holds it whole for each of a
//! thousand gateways: a page is sent when the one before is on its way.

use super::picture::{Picture, PictureError};

/// Workers of a page. Source: ours; about 10 KB, less than a connection has on its way in any case.
const WORKERS_OF_A_PAGE: usize = 100;
/// Workers of a picture. Source: ours; ten times R-C6.
const MOST_WORKERS: usize = 100_000;

impl Picture {
    /// The same in pages, of which all but the last have `more`.
    #[must_use]
    pub fn pages(&self) -> Vec<Self> {
        let head = || Self { pool: self.pool.clone(), policy: self.policy.clone(), ..Self::default() };
        let count = self.workers.len().div_ceil(WORKERS_OF_A_PAGE).max(1);
        let page = |at: usize| {
            let workers = self.workers.iter().skip(at * WORKERS_OF_A_PAGE).take(WORKERS_OF_A_PAGE);
            Self { revision: self.revision, workers: workers.cloned().collect(), more: at + 1 < count, ..head() }
        };
        (0..count).map(page).collect()
    }
}

/// Puts pages together again.
#[derive(Debug, Default)]
pub struct Pages {
    begun: Option<Picture>,
}

impl Pages {
    /// Takes the next page; the picture, when it is whole. A page of another picture begins anew.
    ///
    /// # Errors
    /// More workers than any pool has.
    pub fn take(&mut self, mut page: Picture) -> Result<Option<Picture>, PictureError> {
        let is_next = |begun: &Picture| begun.pool == page.pool && begun.revision == page.revision;
        if let Some(mut begun) = self.begun.take().filter(is_next) {
            begun.workers.append(&mut page.workers);
            page.workers = begun.workers;
        }
        if page.workers.len() > MOST_WORKERS {
            return Err(PictureError::TooMany(MOST_WORKERS));
        }
        if page.more {
            self.begun = Some(page);
            return Ok(None);
        }
        Ok(Some(page))
    }
}

#[cfg(test)]
mod tests {
    use super::super::WorkerPicture;
    use super::*;

    fn picture(workers: usize) -> Picture {
        let worker = |at: usize| WorkerPicture { name: format!("w-{at}"), ..WorkerPicture::default() };
        let workers = (0..workers).map(worker).collect();
        Picture { pool: "api".to_owned(), revision: 7, policy: "p".to_owned(), workers, more: false }
    }

    #[test]
    fn pages_make_the_picture_that_they_were_made_of() {
        for workers in [0, 1, 100, 101, 1_700] {
            let (whole, mut pages) = (picture(workers), Pages::default());
            let sent = whole.pages();
            assert_eq!(sent.len(), workers.div_ceil(WORKERS_OF_A_PAGE).max(1));
            let got: Vec<Option<Picture>> = sent.into_iter().map(|page| pages.take(page).expect("few")).collect();
            let (last, earlier) = got.split_last().expect("at least one");
            assert_eq!(last.as_ref(), Some(&whole), "{workers}");
            assert!(earlier.iter().all(Option::is_none));
        }
    }

    #[test]
    fn a_page_of_another_picture_begins_anew_and_endless_ones_end() {
        let mut pages = Pages::default();
        assert_eq!(pages.take(picture(1_000).pages().remove(0)), Ok(None));
        let other = Picture { revision: 8, ..picture(3) };
        assert_eq!(pages.take(other.clone()), Ok(Some(other)));
        let endless = Picture { more: true, ..picture(60_000) };
        assert_eq!(pages.take(endless.clone()), Ok(None));
        assert_eq!(pages.take(endless), Err(PictureError::TooMany(MOST_WORKERS)));
    }
}
