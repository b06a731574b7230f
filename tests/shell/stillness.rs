//! A window that nobody touches: nothing in it is drawn again.

use std::time::Duration;

use crate::harness::Desktop;
use crate::harness::screen::Screen;

/// Pictures that are compared, and the time between two: over several blinks of a caret, as GTK has it.
const PICTURES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn the_caret_stands_still_in_sight() {
    let desktop = Desktop::start().await;
    let screen = Screen::of(desktop.surroundings());
    let window = screen.window().await;
    screen.give_focus(window);
    let rest = || async { desktop.run_script("return document.getAnimations().length === 0").await == true };
    desktop.run_script("document.activeElement.blur()").await;
    desktop.wait_for("the page to rest", rest).await;
    let without = screen.picture(window);
    desktop.run_script("document.querySelector('[data-testid=composer]').focus()").await;
    desktop.wait_for("the caret", || async { screen.picture(window) != without }).await;
    desktop.wait_for("the page to rest", rest).await;
    let first = screen.picture(window);
    for _ in 0..PICTURES {
        tokio::time::sleep(PAUSE).await;
        assert!(screen.picture(window) == first, "the page was drawn again");
    }
}
